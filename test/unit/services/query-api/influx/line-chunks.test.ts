import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chunksOf } from '../../../../../services/query-api/influx/line-chunks.ts'
import { LineReader } from '../../../../../shared/decoders/line-protocol.ts'

/** Of each line its text, as the decoder parts them. */
function linesIn(bytes: Buffer): string[] {
  const reader = new LineReader()
  reader.load(bytes)
  const lines: string[] = []
  while (reader.begin()) {
    reader.read()
    lines.push(reader.written().toString('latin1'))
  }
  return lines
}

const piece = fc.oneof(
  fc.constantFrom(
    'm a=1',
    'm a="',
    '"',
    '\n',
    '\n',
    '\r\n',
    ' ',
    'm,t=" a=1',
    '# "',
    'a="x\ny"',
    '\\',
    '\\"',
    '=',
    ',',
  ),
  fc.integer({ min: 1, max: 300 }).map((n) => `m a="${'x\n'.repeat(n)}",b=2\n`),
  fc.integer({ min: 1, max: 300 }).map((n) => 'm a=1 1\n'.repeat(n)),
)

describe('the parts of a body', () => {
  it('are the body, begin and end where lines do, and are as small as they can be', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 300 }),
        (pieces, times) => {
          const body = Buffer.from(pieces.join('').repeat(times).slice(0, 150_000))
          const parts = [...chunksOf(body)]
          expect(Buffer.concat(parts).equals(body)).toBe(true)
          const lines = linesIn(body)
          expect(parts.flatMap(linesIn)).toEqual(lines)
          for (const part of parts) expect(part.length <= 60_000 || linesIn(part).length <= 1).toBe(true)
        },
      ),
      { numRuns: 15 },
    )
  })

  it('of an empty body are none, and a line without an end is one', () => {
    expect([...chunksOf(Buffer.alloc(0))]).toEqual([])
    expect([...chunksOf(Buffer.from('m a="'.padEnd(200_000, 'x')))]).toHaveLength(1)
  })
})
