import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeChunk, encodeChunk } from '../../../../../shared/points/sqlite/chunk.ts'
import type { Run } from '../../../../../shared/points/sqlite/columns.ts'
import { MAX_INSTANT, type FieldType, type PointValue } from '../../../../../shared/telemetry.ts'

const double = fc.double({ noNaN: true, noDefaultInfinity: true })
const decimal = fc.tuple(fc.maxSafeInteger(), fc.nat(17)).map(([whole, decimals]) => Number(`${whole}e-${decimals}`))
const edge = fc.constantFrom(
  0,
  -0,
  0.1 + 0.2,
  5e-324,
  1e308,
  -Number.MAX_VALUE,
  2 ** 51,
  2 ** 51 + 1,
  2 ** 53,
  1e15 / 7,
)
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const integer = fc.oneof(
  fc.maxSafeInteger(),
  int64.map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value)),
  fc.constantFrom<number | bigint>(
    2 ** 51,
    -(2 ** 51),
    2 ** 51 + 1,
    2 ** 53 - 1,
    2n ** 53n,
    2n ** 63n - 1n,
    -(2n ** 63n),
  ),
)

const columns: Readonly<Record<string, [FieldType, fc.Arbitrary<PointValue>]>> = {
  'any floats': ['float', double],
  'short decimals': ['float', fc.integer({ min: -1e6, max: 1e6 }).map((cents) => cents / 100)],
  'decimals of any length': ['float', decimal],
  'decimals with exceptions': [
    'float',
    fc.oneof(
      { weight: 30, arbitrary: fc.integer({ min: 0, max: 999 }).map((n) => n / 10) },
      { weight: 1, arbitrary: edge },
    ),
  ],
  'edges of floats': ['float', edge],
  'small integers': ['integer', fc.integer()],
  'any integers': ['integer', integer],
  booleans: ['boolean', fc.boolean()],
  strings: ['string', fc.string({ unit: 'grapheme' })],
  'few strings': ['string', fc.constantFrom('on', 'off', '')],
}

const time = fc.oneof(
  fc.record({ ms: fc.nat({ max: 1e12 }), ns: fc.constant(0) }),
  fc.record({ ms: fc.nat({ max: 1000 }), ns: fc.nat(999_999) }),
  fc.constantFrom({ ms: 0, ns: 0 }, MAX_INSTANT),
)

function runOf(times: readonly { ms: number; ns: number }[], values: readonly PointValue[]): Run {
  const sorted = times.toSorted((a, b) => a.ms - b.ms || a.ns - b.ns).slice(0, values.length)
  return { ms: sorted.map(({ ms }) => ms), ns: sorted.map(({ ns }) => ns), values: values.slice(0, sorted.length) }
}

const minutes = Array.from({ length: 300 }, (_, i) => 1_700_000_000_000 + i * 60_000)

/** What the last version that wrote format 2 made of them, plain and in zstd. */
const FORMAT_2: [string, Run][] = [
  ['AwaBaw0CAAQBAA4N/wAAAAAAAAAAAAAAAAAAAAAAAPj4Aj+/wA==', { ms: [1, 2, 5], ns: [0, 7, 0], values: [1.5, -0, 2.25] }],
  [
    'BN02e3ZgZQENAgBUA4Cgq/75Yr/2o/75YgABAAIGCg4SFi8eJyYfLhcTDz4HAwAECD0QFBgtICUoHTAVEQ0JBQEAAgAfQEp9TlTwBQ==',
    { ms: minutes, ns: minutes.map(() => 0), values: minutes.map((_, i) => ((i * i) % 37) / 10) },
  ],
]

describe('a chunk', () => {
  it.for(Object.entries(columns))('gives back the bits of %s', ([, [type, value]]) => {
    const times = fc.uniqueArray(time, { minLength: 1, maxLength: 200, selector: ({ ms, ns }) => `${ms}.${ns}` })
    fc.assert(
      fc.property(times, fc.array(value, { minLength: 1, maxLength: 200 }), (someTimes, values) => {
        const run = runOf(someTimes, values)
        const read = decodeChunk({ type, count: run.ms.length, startMs: run.ms[0] ?? 0 }, encodeChunk(type, run, 7), 7)
        expect(read.ms).toStrictEqual(run.ms)
        expect(read.ns).toStrictEqual(run.ns)
        // toStrictEqual tells -0 from 0, and a number from a bigint.
        expect(read.values).toStrictEqual(run.values)
      }),
      { numRuns: 200 },
    )
  })

  it('is as short as the shortest of its encodings, and each of them is that of something', () => {
    const of = (count: number, step: (i: number) => number, value: (i: number) => number): Run => {
      let time = 1_700_000_000_000
      const ms = Array.from({ length: count }, (_, i) => (time += step(i)))
      return { ms, ns: ms.map(() => 0), values: ms.map((_, i) => value(i) / 10) }
    }
    const noise = (i: number): number => (Math.imul(i * i + 7, 0x9e3779b1) >>> 20) % 101
    const minute = (): number => 60_000
    const jitter = (i: number): number => 60_000 + (noise(i) % 40)
    const bursts = (i: number): number => (i % 10 === 0 ? 51_000 : 1000)
    const saw = (i: number): number => i % 8
    const expected: [Run, encoding: number, bytes: number][] = [
      [of(400, minute, noise), 5, 400],
      [of(400, jitter, noise), 5, 750],
      [of(400, minute, saw), 6, 50],
      [of(400, bursts, saw), 4, 60],
    ]
    for (const [run, encoding, bytes] of expected) {
      const chunk = encodeChunk('float', run, 7)
      expect(chunk[0]).toBe(encoding)
      expect(chunk.length).toBeLessThanOrEqual(bytes)
      expect(decodeChunk({ type: 'float', count: 400, startMs: run.ms[0] ?? 0 }, chunk, 7)).toStrictEqual(run)
    }
  })

  it.for(FORMAT_2)('of format 2 is read', ([packed, run]) => {
    const place = { type: 'float', count: run.ms.length, startMs: run.ms[0] ?? 0 } as const
    expect(decodeChunk(place, new Uint8Array(Buffer.from(packed, 'base64')), 7)).toStrictEqual(run)
  })

  it('is small for what sensors send', () => {
    const count = 500
    const ms = Array.from({ length: count }, (_, i) => 1_700_000_000_000 + i * 60_000)
    const ns = ms.map(() => 0)
    const bytes = (type: FieldType, values: PointValue[]): number =>
      encodeChunk(type, { ms, ns, values }, 0).length / count
    expect(
      bytes(
        'float',
        ms.map((_, i) => 20 + Math.round(Math.sin(i / 50) * 100) / 100),
      ),
    ).toBeLessThan(1)
    expect(
      bytes(
        'integer',
        ms.map((_, i) => 123_456 + i * 3),
      ),
    ).toBeLessThan(0.2)
    expect(
      bytes(
        'boolean',
        ms.map((_, i) => i % 100 < 50),
      ),
    ).toBeLessThan(0.2)
    expect(
      bytes(
        'string',
        ms.map((_, i) => (i % 100 < 50 ? 'running' : 'idle')),
      ),
    ).toBeLessThan(0.3)
  })

  it.for([
    ['nothing', new Uint8Array()],
    ['an unknown kind', Uint8Array.of(9, 1, 2)],
    [
      'an end that came early',
      encodeChunk('float', { ms: [1, 2, 3], ns: [0, 0, 0], values: [1.5, 2, 3] }, 0).slice(0, 5),
    ],
  ] as const)('refuses %s', ([, bytes]) => {
    expect(() => decodeChunk({ type: 'float', count: 3, startMs: 1 }, bytes, 0)).toThrow(RangeError)
    expect(() => decodeChunk({ type: 'float', count: 3, startMs: 1 }, bytes, undefined)).toThrow(RangeError)
  })

  it('refuses a flipped bit, and the bytes of another chunk', () => {
    const run = { ms: [1, 2, 3], ns: [0, 0, 0], values: [1.5, 2, 3] }
    const long = { ms: run.ms, ns: run.ns, values: ['a', 'b', 'c'].map((word) => word.repeat(300)) }
    for (const [type, one] of [
      ['float', run],
      ['string', long],
    ] as const) {
      const bytes = encodeChunk(type, one, 7)
      expect(() => decodeChunk({ type, count: 3, startMs: 1 }, bytes, 8)).toThrow(RangeError)
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const copy = bytes.slice()
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit % 8))
        expect(() => decodeChunk({ type, count: 3, startMs: 1 }, copy, 7)).toThrow(RangeError)
      }
    }
  })
})
