import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isZoneName, Zone, zoneNamed } from '../../../../shared/decoders/zone.ts'

const ZONES = [
  ...['Europe/Berlin', 'America/New_York', 'America/St_Johns', 'Australia/Lord_Howe', 'Africa/Casablanca'],
  ...['Asia/Kathmandu', 'Asia/Kolkata', 'America/Sao_Paulo', 'Pacific/Apia', 'Pacific/Chatham'],
]

/** What a clock on the wall shows, as if it were UTC: from the text that the runtime writes for people. */
function wallClock(zone: string, utcMs: number): number {
  const text = new Date(utcMs).toLocaleString('sv-SE', { timeZone: zone })
  return Date.parse(`${text.replace(' ', 'T')}Z`) + (utcMs % 1000)
}

describe('a zone', () => {
  it('reads a wall clock back, within ten minutes of receipt, in ten zones and at every change of them', () => {
    const moment = fc.integer({ min: Date.UTC(2013, 0, 1), max: Date.UTC(2036, 0, 1) })
    const case_ = fc.record({ zone: fc.constantFrom(...ZONES), at: moment, delayMs: fc.nat(600_000) })
    fc.assert(
      fc.property(case_, ({ zone, at, delayMs }) => {
        expect(zoneNamed(zone).instantOf(wallClock(zone, at), at + delayMs)).toBe(at)
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    ['Europe/Berlin', '2026-10-25T00:00:00Z', 120],
    ['Australia/Lord_Howe', '2026-04-04T14:30:00Z', 60],
    ['Africa/Casablanca', '2026-02-15T02:00:00Z', 120],
  ])('%s: a reading a minute through the hour that comes twice is one point a minute', (zone, from, minutes) => {
    const start = Date.parse(from)
    const read = Array.from({ length: minutes }, (_, minute) => {
      const at = start + minute * 60_000
      return zoneNamed(zone).instantOf(wallClock(zone, at), at + 2_000)
    })
    expect(read).toEqual(Array.from({ length: minutes }, (_, minute) => start + minute * 60_000))
  })

  it('has a name', () => {
    for (const zone of [...ZONES, 'UTC', 'Etc/GMT+5']) expect(isZoneName(zone)).toBe(true)
    for (const zone of ['', '+01:00', 'Europe/Nowhere', 'none at all', '__proto__'])
      expect(isZoneName(zone)).toBe(false)
    expect(() => new Zone('Europe/Nowhere')).toThrow(RangeError)
  })
})
