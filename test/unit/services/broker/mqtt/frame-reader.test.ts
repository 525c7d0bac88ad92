import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameReader, Peeked } from '../../../../../services/broker/mqtt/frame-reader.ts'
import { frame } from '../../../../mqtt/packets.ts'

const body = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 2, arbitrary: fc.uint8Array({ minLength: 120, maxLength: 140 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 16_380, maxLength: 16_390 }) },
)
const packets = fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), body), { minLength: 1, maxLength: 12 })
/** How the bytes are cut into chunks: lengths, used in turn. */
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 20_000 })), { minLength: 1 })

function chunksOf(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, index = 0; at < bytes.length; index += 1) {
    const length = lengths[index % lengths.length] ?? 1
    // A chunk of its own that is overwritten afterwards would show a reader that kept looking at it.
    chunks.push(Buffer.from(bytes.subarray(at, at + length)))
    at += length
  }
  return chunks
}

function current(reader: FrameReader): [number, number[]] {
  return [reader.header, [...reader.buffer.subarray(reader.body, reader.end)]]
}

describe('FrameReader', () => {
  it('gives the packets that were sent, wherever the bytes are cut and whenever they are taken', () => {
    fc.assert(
      fc.property(packets, cuts, fc.array(fc.boolean(), { minLength: 1 }), (sent, lengths, takes) => {
        const reader = new FrameReader(100_000)
        const got: [number, number[]][] = []
        const take = (): void => {
          for (; reader.peek() === Peeked.frame; reader.consume()) {
            reader.compact()
            expect(reader.peek()).toBe(Peeked.frame)
            got.push(current(reader))
          }
        }
        const bytes = Buffer.concat(sent.map(([header, content]) => frame(header, Buffer.from(content))))
        for (const [index, chunk] of chunksOf(bytes, lengths).entries()) {
          reader.feed(chunk)
          if (takes[index % takes.length] === true) take()
        }
        take()
        expect(got).toEqual(sent.map(([header, content]) => [header, [...content]]))
        expect(reader.heldBytes).toBe(0)
      }),
    )
  })

  it('holds what was fed and not consumed, and scans it without taking it', () => {
    fc.assert(
      fc.property(packets, cuts, fc.nat({ max: 12 }), (sent, lengths, taken) => {
        const reader = new FrameReader(100_000)
        const frames = sent.map(([header, content]) => frame(header, Buffer.from(content)))
        for (const chunk of chunksOf(Buffer.concat(frames), lengths)) {
          reader.feed(chunk)
          reader.peek()
        }
        for (let index = 0; index < taken && reader.peek() === Peeked.frame; index += 1) reader.consume()
        const rest = frames.slice(Math.min(taken, frames.length))
        reader.peek()
        expect(reader.heldBytes).toBe(Buffer.concat(rest).length)
        const seen: number[] = []
        reader.scan((header) => seen.push(header))
        expect(seen).toEqual(rest.map(([header]) => header))
      }),
    )
  })

  it('lets a packet beyond the limit pass without holding it, and keeps its beginning', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 70_000 }), cuts, (length, lengths) => {
        const reader = new FrameReader(100)
        const content = Buffer.alloc(length, 'x')
        content.write('beginning')
        const bytes = Buffer.concat([frame(0x32, content), frame(0xc0, Buffer.alloc(0))])
        let most = 0
        const found: Peeked[] = []
        for (const chunk of chunksOf(bytes, lengths)) {
          reader.feed(chunk)
          for (let peeked = reader.peek(); peeked !== Peeked.more; peeked = reader.peek()) {
            found.push(peeked)
            if (peeked === Peeked.long) {
              expect([reader.header, reader.total]).toEqual([0x32, bytes.length - 2])
              reader.skip(64)
              continue
            }
            if (peeked === Peeked.skipped) expect(reader.kept).toEqual(content.subarray(0, 64))
            reader.consume()
          }
          most = Math.max(most, reader.heldBytes)
        }
        expect(found).toEqual([Peeked.long, Peeked.skipped, Peeked.frame])
        expect(most).toBeLessThan(8)
        expect(reader.heldBytes).toBe(0)
      }),
    )
  })

  it('holds nothing of what was taken', () => {
    const reader = new FrameReader(100)
    reader.feed(frame(0x30, Buffer.from('payload')))
    reader.peek()
    reader.consume()
    expect(reader.buffer).toHaveLength(0)
  })

  it.each([
    ['five length bytes', [0x30, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ['four length bytes that go on', [0x30, 0x80, 0x80, 0x80, 0x80]],
  ])('refuses %s', (_name, bytes) => {
    const whole = new FrameReader(100)
    whole.feed(Buffer.from(bytes))
    expect(whole.peek()).toBe(Peeked.malformed)
    const single = new FrameReader(100)
    const answers = bytes.map((byte) => {
      single.feed(Buffer.from([byte]))
      return single.peek()
    })
    expect(answers.at(-1)).toBe(Peeked.malformed)
  })
})
