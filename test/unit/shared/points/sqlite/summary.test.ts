import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Run } from '../../../../../shared/points/sqlite/columns.ts'
import { decodeSummary, encodeSummary } from '../../../../../shared/points/sqlite/summary.ts'
import type { FieldType, PointValue } from '../../../../../shared/telemetry.ts'

const double = fc.double({ noNaN: true, noDefaultInfinity: true })
const decimal = fc.tuple(fc.integer({ min: -1e6, max: 1e6 }), fc.nat(4)).map(([whole, k]) => Number(`${whole}e-${k}`))
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const integer = fc.oneof(
  fc.integer(),
  int64.map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value)),
  fc.constantFrom<number | bigint>(2 ** 51, -(2 ** 51), 2 ** 51 + 1, 2n ** 53n, 2n ** 63n - 1n),
)
const values: Readonly<Record<string, [FieldType, fc.Arbitrary<PointValue>]>> = {
  floats: ['float', fc.oneof(double, fc.constantFrom(0, -0, 5e-324, 1e308))],
  'short decimals': ['float', fc.oneof({ weight: 20, arbitrary: decimal }, fc.constant(-0))],
  integers: ['integer', integer],
  booleans: ['boolean', fc.boolean()],
  strings: ['string', fc.string({ unit: 'grapheme', maxLength: 20 })],
}

it.for(Object.entries(values))('a summary gives back first, last, least and greatest of %s', ([, [type, value]]) => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 50 }), (some) => {
      const run: Run = { ms: some.map((_, i) => i), ns: some.map(() => 0), values: some }
      const packed = encodeSummary(type, run)
      if (packed === undefined) throw new Error('there is none')
      const { first, last, numeric } = decodeSummary(type, packed)
      // toStrictEqual tells -0 from 0, and a number from a bigint.
      expect([first, last]).toStrictEqual([some[0], some.at(-1)])
      if (type !== 'float' && type !== 'integer') return
      const numbers = some as (number | bigint)[]
      const least = numbers.reduce((a, b) => (b < a ? b : a))
      const greatest = numbers.reduce((a, b) => (b > a ? b : a))
      expect([numeric?.min, numeric?.max]).toStrictEqual([least, greatest])
    }),
  )
})

it('a summary of short decimals takes half of what one of any numbers does, and another form is none', () => {
  const run = { ms: [1, 2, 3], ns: [0, 0, 0], values: [20.1, 20.4, 20.2] }
  const short = encodeSummary('float', run)
  const long = encodeSummary('float', { ...run, values: run.values.map((value) => value / 3) })
  expect(short?.form).toBe(1)
  expect(long?.form).toBeUndefined()
  expect((short?.bytes.length ?? 99) * 2).toBeLessThan(long?.bytes.length ?? 0)
  expect(() => decodeSummary('float', { form: 2, bytes: short?.bytes ?? new Uint8Array() })).toThrow(RangeError)
})
