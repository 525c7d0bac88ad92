import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { fittingZone } from '../../../../shared/decoders/fitting-zone.ts'
import { CHANGES, wallClock } from './local-clocks.ts'

describe('the zone that is proposed', () => {
  it('shows the same time as the one that the device is in', () => {
    const any = fc.record({
      zone: fc.constantFrom(...CHANGES.map(({ zone }) => zone)),
      at: fc.integer({ min: Date.UTC(2015, 0), max: Date.UTC(2035, 0) }),
      lateMs: fc.integer({ min: -100_000, max: 590_000 }),
    })
    fc.assert(
      fc.property(any, ({ zone, at, lateMs }) => {
        const found = fittingZone(wallClock(zone, at), at + lateMs)
        // Near a change another offset may be meant, too.
        if (found !== undefined) expect(wallClock(found, at + lateMs) - wallClock(zone, at)).toBe(lateMs)
        const hasOffset = [-1, 1].every((days) => {
          const other = at + days * 86_400_000
          return wallClock(zone, other) - other === wallClock(zone, at) - at
        })
        if (hasOffset) expect(found).toBeDefined()
      }),
      { numRuns: 200 },
    )
  })

  it('is none for what came late, or from another day', () => {
    const at = Date.UTC(2026, 6, 1, 12)
    for (const lateMs of [11 * 60_000, 3 * 60_000 - 15 * 60_000, 30 * 3_600_000]) {
      expect(fittingZone(at + 7_200_000, at + lateMs), `${lateMs}`).toBeUndefined()
    }
  })

  it('is said in the note', () => {
    const record = { key: 'demo/first', ms: Date.UTC(2026, 10, 29, 12), ns: 0, headers: undefined }
    const note = (time: string) => {
      const value = Buffer.from(JSON.stringify({ time, a: 1 }))
      return decodeRecords([{ ...record, value }], new SeriesTable()).suspects[0]?.detail
    }
    expect(note('2026-11-29T13:00:00')).toMatch(/which has no zone; [A-Z]\w+\/\w+ fits \(the policy time_zone\)$/)
    expect(note('2026-11-29T13:20:00')).toMatch(/which has no zone$/)
    expect(note('29.11.2026 13:00')).toMatch(/which has no zone$/)
  })
})
