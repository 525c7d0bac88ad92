import fc from 'fast-check'
import { expect, it } from 'vitest'
import { compareText } from '../../../shared/text-order.ts'

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
