import fc from 'fast-check'
import { expect, it } from 'vitest'
import { compareCodePoints, compareText } from '../../../shared/text-order.ts'

it('texts are in the order of JavaScript, whatever the language', () => {
  expect(['ä', 'b', 'a', 'B', '', 'aa', '\u{1F600}', '\uFFFD'].sort(compareText)).toEqual(
    ['ä', 'b', 'a', 'B', '', 'aa', '\u{1F600}', '\uFFFD'].sort(),
  )
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
      expect(texts.toSorted(compareText)).toEqual(texts.toSorted())
    }),
  )
})

it('a text equals itself alone', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      expect(compareText(a, b) === 0).toBe(a === b)
      expect(compareText(a, b) + compareText(b, a)).toBe(0)
    }),
  )
})

it('code points have the order of UTF-8', () => {
  const unit = fc.constantFrom('a', 'b', '\u0000', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{1F600}', '\u{10ffff}')
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 4 }), fc.string({ unit, maxLength: 4 }), (a, b) => {
      expect(Math.sign(compareCodePoints(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
  )
})
