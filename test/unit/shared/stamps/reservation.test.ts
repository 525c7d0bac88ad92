import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineReader } from '../../../../shared/decoders/line-protocol.ts'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { MAX_ELEMENTS, reservedElements, reservedLines } from '../../../../shared/stamps/reservation.ts'
import { STAMP_STEP } from '../../../../shared/stamps/scheme.ts'
import { toNanoseconds, type LogRecord } from '../../../../shared/telemetry.ts'

const of = (text: string) => reservedElements(Buffer.from(text))

describe('a message reserves', () => {
  it.each([
    '{"a":1}',
    '{"a":1}\0\n',
    '2026-01-31 12:00:00',
    ' \r\n{"a":1, "b":{"c":2}}\n\n',
    '21.5',
    '-1e9',
    ' "on" ',
    'true\r\n',
    '',
    '[]',
  ])('one time as a single reading: %j', (text) => {
    expect(of(text)).toBe(1)
  })

  it.each([
    '[{"a":1}]',
    '{"a":1}\n{"a":2}',
    '1,2,3,4',
    '21.5;22.5',
    'temperature,site=a v=1',
    '"a"\u0000"b"',
    '{"a":1',
    '9281a00181a002',
    '21.5 degrees',
  ])('as many as its bytes allow otherwise: %j', (text) => {
    expect(of(text)).toBe(Math.floor(Buffer.byteLength(text) / 3) + 1)
  })

  it('never more than a message may have readings', () => {
    expect(reservedElements(Buffer.alloc(29_996, '[').fill('{', 0, 0))).toBe(9_999)
    expect(reservedElements(Buffer.alloc(1_000_000, '['))).toBe(MAX_ELEMENTS)
    expect(reservedElements(Buffer.alloc(65_536, 0xff))).toBe(MAX_ELEMENTS)
  })

  it.each([
    ['gzip', (bytes: Buffer) => gzipSync(bytes)],
    ['zstd', (bytes: Buffer) => zstdCompressSync(bytes)],
  ])('what the length allows that a frame of %s declares', (_, compress) => {
    for (const length of [0, 1, 200, 300, 20_000, 70_000]) {
      expect(reservedElements(compress(Buffer.alloc(length, '[')))).toBe(
        Math.min(MAX_ELEMENTS, Math.floor(length / 3) + 1),
      )
    }
  })

  it('all that there may be when a frame declares no length', () => {
    expect(reservedElements(Buffer.from('28b52ffd0400410000', 'hex'))).toBe(MAX_ELEMENTS)
    expect(reservedElements(Buffer.from('04224d184040c0', 'hex'))).toBe(MAX_ELEMENTS)
    expect(reservedElements(gzipSync('[]').subarray(0, 12))).toBe(MAX_ELEMENTS)
  })

  it('enough for every reading of every JSON payload', () => {
    const reading = fc.constantFrom('{"":1}', '{"a":1}', '{"a":1,"b":"x"}', '{"ts":1769860800,"a":1}')
    fc.assert(
      fc.property(fc.array(reading, { minLength: 1, maxLength: 300 }), fc.boolean(), (readings, isAlone) => {
        const text = isAlone ? (readings[0] ?? '') : `[${readings.join(',')}]`
        expect(of(text)).toBeGreaterThanOrEqual(isAlone ? 1 : readings.length)
      }),
    )
  })
})

describe('lines that were posted', () => {
  it('reserve a time for each, and not for their bytes', () => {
    const line = 'cpu,host=a,cpu=cpu0 user=12.5,system=3.25,idle=84.25 1769860800000000000\n'
    expect(reservedLines(Buffer.from(line.repeat(800)))).toBe(801)
    expect(reservedLines(Buffer.from('\n'.repeat(60_000)))).toBe(MAX_ELEMENTS)
  })

  it('are never more than are reserved, whatever the bytes', () => {
    const piece = fc.constantFrom(
      'a b=1',
      'a b="x',
      '\n',
      '\r',
      ' ',
      '"',
      '\\',
      '# c',
      ',',
      'a,t=u b=1i 17',
      '\0',
      '=',
      'é',
    )
    const reader = new LineReader()
    const check = (pieces: readonly string[]) => {
      const payload = Buffer.from(pieces.join(''))
      reader.load(payload)
      let last = -1
      for (let element = 0; reader.begin(); element += 1) if (typeof reader.read() !== 'string') last = element
      expect(last).toBeLessThan(reservedLines(payload))
    }
    fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), check), { numRuns: 500 })
  })
})

describe('JSON readings without a time', () => {
  const record = (text: string, scheme: 1 | undefined, ns: number): LogRecord => {
    return { key: 'demo/first', value: Buffer.from(text), ms: 1_769_860_800_000, ns, scheme, headers: undefined }
  }
  const times = (one: LogRecord) => {
    const { points } = decodeRecords([one], new SeriesTable())
    return points.ms.map((ms, i) => toNanoseconds({ ms, ns: points.ns[i] ?? 0 }) - toNanoseconds(one))
  }

  it('lie a step apart, over as many milliseconds as that takes', () => {
    const one = record(`[${Array.from({ length: 10_000 }, () => '{"a":1}').join(',')}]`, 1, 999_999)
    expect(times(one)).toEqual(Array.from({ length: 10_000 }, (_, i) => BigInt(i * STAMP_STEP)))
  })

  it('lie a nanosecond apart in records of before', () => {
    const one = record(`[${Array.from({ length: 10_000 }, () => '{"a":1}').join(',')}]`, undefined, 999_999)
    expect(times(one)).toEqual(Array.from({ length: 10_000 }, (_, i) => BigInt(i)))
  })

  it('that the payload has left no room for are faults of their own, and those with a time are stored', () => {
    const filler = Array.from({ length: 60 }, () => '5').join(',')
    const one = record(`[${filler},{"a":1},{"ts":1769860800,"a":2}]`, 1, 0)
    const { points, faults } = decodeRecords([one], new SeriesTable())
    expect(points.values).toEqual([2])
    expect(faults.get(0)?.first.at(-1)).toMatchObject({ element: 60, code: 'time_not_reserved' })
    expect(decodeRecords([{ ...one, scheme: undefined }], new SeriesTable()).points.values).toEqual([1, 2])
  })
})
