import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRowTime } from '../../../../../services/simulator/workload/row-time.ts'

describe('the time of a row', () => {
  it('is what Date says, with any zone and up to microseconds', () => {
    const instant = fc.date({ min: new Date(0), max: new Date('2262-01-01'), noInvalidDate: true })
    fc.assert(
      fc.property(instant, fc.nat(999), (date, us) => {
        const text = `${date.toISOString().slice(0, -1)}${String(us).padStart(3, '0')}Z`
        expect(parseRowTime(text, '+05:00', '')).toMatchObject({ us: date.getTime() * 1000 + us, zoneAssumed: false })
        expect(parseRowTime(text.slice(0, -1).replace('T', ' '), undefined, '').us).toBe(date.getTime() * 1000 + us)
      }),
    )
  })

  it.each([
    ['2026-01-01', 1767225600e6],
    ['2026-01-01 01:00', 1767229200e6],
    ['1767225600', 1767225600e6],
    ['1767225600000', 1767225600e6],
    ['1767225600000001', 1767225600000001],
  ])('%s', (text, us) => {
    expect(parseRowTime(text, undefined, '').us).toBe(us)
  })

  it.each(['', 'x', '2026-02-30', '2026-01-01T25:00:00Z', '2026-01-01T00:00:00.0000001Z', '1969-01-01', '-1', '1e3'])(
    '%j is none',
    (text) => {
      expect(() => parseRowTime(text, undefined, 'line 7')).toThrow(/^line 7: /)
    },
  )
})
