import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jsonValue } from '../../../../services/query-api/live-events.ts'

describe('a value in an answer', () => {
  it('is the same number when it is read, and beyond 2^53 no integer to whoever has exact ones', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = JSON.stringify({ v: jsonValue(value) })
        expect(JSON.parse(text)).toEqual({ v: value === 0 ? 0 : value })
        expect(/^\{"v":-?\d+\}$/.test(text)).toBe(Number.isSafeInteger(value))
      }),
      { examples: [[123456789000000000000], [2 ** 53], [-(2 ** 53)], [2 ** 53 - 1], [1e21], [1e300], [0.5]] },
    )
  })

  it('is text when it is an integer that no double holds', () => {
    expect(jsonValue(2n ** 62n)).toBe('4611686018427387904')
    expect([Infinity, -Infinity].map(jsonValue)).toEqual(['Infinity', '-Infinity'])
  })
})
