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

describe('a chunk', () => {
  it.for(Object.entries(columns))('gives back the bits of %s', ([, [type, value]]) => {
    const times = fc.uniqueArray(time, { minLength: 1, maxLength: 200, selector: ({ ms, ns }) => `${ms}.${ns}` })
    fc.assert(
      fc.property(times, fc.array(value, { minLength: 1, maxLength: 200 }), (someTimes, values) => {
        const run = runOf(someTimes, values)
        const read = decodeChunk(type, run.ms.length, encodeChunk(type, run, 7), 7)
        expect(read.ms).toStrictEqual(run.ms)
        expect(read.ns).toStrictEqual(run.ns)
        // toStrictEqual tells -0 from 0, and a number from a bigint.
        expect(read.values).toStrictEqual(run.values)
      }),
      { numRuns: 200 },
    )
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
    expect(() => decodeChunk('float', 3, bytes, 0)).toThrow(RangeError)
    expect(() => decodeChunk('float', 3, bytes, undefined)).toThrow(RangeError)
  })

  it('refuses a flipped bit, and the bytes of another chunk', () => {
    const run = { ms: [1, 2, 3], ns: [0, 0, 0], values: [1.5, 2, 3] }
    const long = { ms: run.ms, ns: run.ns, values: ['a', 'b', 'c'].map((word) => word.repeat(300)) }
    for (const [type, one] of [
      ['float', run],
      ['string', long],
    ] as const) {
      const bytes = encodeChunk(type, one, 7)
      expect(() => decodeChunk(type, 3, bytes, 8)).toThrow(RangeError)
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const copy = bytes.slice()
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit % 8))
        expect(() => decodeChunk(type, 3, copy, 7)).toThrow(RangeError)
      }
    }
  })
})
