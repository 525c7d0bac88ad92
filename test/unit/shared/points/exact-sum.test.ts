import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ExactSum } from '../../../../shared/points/exact-sum.ts'

const double = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e-300, max: 1e-300 }),
  fc.constantFrom(Number.MAX_VALUE, -Number.MAX_VALUE, 2 ** 960, -(2 ** 960), 2 ** 959, 5e-324, 0.1, 1e16, -1e16, 1),
)

/** A double as a whole number of 2^-1074. */
function units(value: number): bigint {
  const bits = new DataView(new ArrayBuffer(8))
  bits.setFloat64(0, value)
  const word = bits.getBigUint64(0)
  const exponent = (word >> 52n) & 0x7ffn
  const fraction = word & 0xf_ffff_ffff_ffffn
  const size = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n)
  return word >> 63n === 1n ? -size : size
}

/** A whole number of 2^-1074 as the nearest double, half to even. */
function nearest(total: bigint): number {
  const size = total < 0n ? -total : total
  const extra = Math.max(0, size.toString(2).length - 64)
  // What is cut off only matters for being there: 64 bits are well beyond the 53 of a double.
  const kept = (size >> BigInt(extra)) | ((size & ((1n << BigInt(extra)) - 1n)) > 0n ? 1n : 0n)
  const scaled = Number(kept) * 2 ** (extra - 1074)
  return total < 0n ? -scaled : scaled
}

function totalOf(values: readonly number[]): number {
  const sum = new ExactSum()
  for (const value of values) sum.add(value)
  return sum.total()
}

describe('an exact sum', () => {
  it('is the sum of the numbers, rounded once', () => {
    fc.assert(
      fc.property(fc.array(double, { maxLength: 50 }), (values) => {
        const total = values.reduce((sum, value) => sum + units(value), 0n)
        expect(totalOf(values) === nearest(total) || (totalOf(values) === 0 && total === 0n)).toBe(true)
      }),
      { numRuns: 2000, examples: [[[5e-324, -(2 ** 960), 2 ** 959, 2 ** 959]]] },
    )
  })

  it('is the same however the numbers are grouped and ordered', () => {
    fc.assert(
      fc.property(fc.array(fc.array(double, { maxLength: 20 }), { maxLength: 10 }), (groups) => {
        const whole = new ExactSum()
        for (const group of groups.toReversed()) {
          const part = new ExactSum()
          for (const value of group) part.add(value)
          whole.addParts(part.parts)
        }
        expect(whole.total() === totalOf(groups.flat())).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  it('survives what ordinary addition does not', () => {
    expect(totalOf([1e16, 1, -1e16])).toBe(1)
    expect(totalOf(Array.from({ length: 10 }, () => 0.1))).toBe(1)
    expect(totalOf([1e308, 1e308, -1e308, -1e308, 5])).toBe(5)
    expect(totalOf([1e308, 1e308])).toBe(Infinity)
    // Half way between two doubles, and a little more, and a little less.
    const [even, half] = [2 ** 1000, 2 ** 947]
    expect(totalOf([even, half])).toBe(even)
    expect(totalOf([even, half, 5e-324])).toBe(even + 2 ** 948)
    expect(totalOf([even + 2 ** 948, half, -5e-324])).toBe(even + 2 ** 948)
    const huge = new ExactSum()
    for (const value of [1e308, 1.5e308]) huge.add(value)
    expect(huge.mean(2)).toBe(1.25e308)
  })

  it('takes integers of 64 bits exactly', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (values) => {
        const sum = new ExactSum()
        for (const value of values) sum.addInteger(value)
        expect(sum.total() + 0).toBe(Number(values.reduce((total, value) => total + value, 0n)))
      }),
    )
  })
})
