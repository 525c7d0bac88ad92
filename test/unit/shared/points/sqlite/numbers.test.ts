import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ByteReader, ByteWriter } from '../../../../../shared/points/sqlite/bytes.ts'
import { BITS, BYTES, type NumberCoding } from '../../../../../shared/points/sqlite/numbers.ts'

const MOST = 2 ** 52
const number = fc
  .oneof(
    { weight: 6, arbitrary: fc.integer({ min: -50, max: 50 }) },
    fc.integer(),
    fc.integer({ min: -MOST, max: MOST }),
    fc.nat(52).map((power) => 2 ** power),
    fc.nat(52).map((power) => -(2 ** power)),
    fc.constantFrom(MOST, -MOST, 0),
  )
  // The sign of 0 is none of theirs.
  .map((some) => some + 0)

it.for([
  ['bytes', BYTES],
  ['bits', BITS],
] as [string, NumberCoding][])('whole numbers come back out of %s, and what follows them', ([, coding]) => {
  fc.assert(
    fc.property(fc.array(number, { maxLength: 100 }), (numbers) => {
      const out = new ByteWriter()
      coding.write(out, numbers)
      out.byte(77)
      const from = new ByteReader(out.finish())
      expect(coding.read(from, numbers.length)).toStrictEqual(numbers)
      expect([from.byte(), from.atEnd]).toEqual([77, true])
    }),
    { numRuns: 300 },
  )
})

it('bits that end early are refused', () => {
  const out = new ByteWriter()
  BITS.write(out, [1, 2, 3, 2 ** 40, -5])
  const bytes = out.finish()
  for (let length = 0; length < bytes.length; length++) {
    expect(() => BITS.read(new ByteReader(bytes.subarray(0, length)), 5)).toThrow(RangeError)
  }
})
