import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LocalOrder } from '../../../../shared/decoders/local-order.ts'
import { isZoneName, Zone, zoneNamed } from '../../../../shared/decoders/zone.ts'
import { CHANGES, wallClock } from './local-clocks.ts'

const ZONES = [
  ...['Europe/Berlin', 'America/New_York', 'America/St_Johns', 'Australia/Lord_Howe', 'Africa/Casablanca'],
  ...['Asia/Kathmandu', 'Asia/Kolkata', 'America/Sao_Paulo', 'Pacific/Apia', 'Pacific/Chatham'],
]

/** Of a reading that nothing came before. */
function instantOf(zone: string, localMs: number, receivedMs: number): number {
  const { first, second } = zoneNamed(zone).read(localMs)
  return new LocalOrder().choose(first, second, receivedMs)
}

describe('a zone', () => {
  it('reads a wall clock back, within ten minutes of receipt, in ten zones and at every change of them', () => {
    const moment = fc.integer({ min: Date.UTC(2013, 0, 1), max: Date.UTC(2036, 0, 1) })
    const case_ = fc.record({ zone: fc.constantFrom(...ZONES), at: moment, delayMs: fc.nat(600_000) })
    fc.assert(
      fc.property(case_, ({ zone, at, delayMs }) => {
        expect(instantOf(zone, wallClock(zone, at), at + delayMs)).toBe(at)
      }),
      { numRuns: 500 },
    )
  })

  it.each(CHANGES)(
    '$zone: what comes twice has both instants, and nothing before or after has',
    ({ zone, at, minutes }) => {
      const change = Date.parse(at)
      for (let minute = -120; minute < 120; minute++) {
        const ms = change + minute * 60_000
        const { first, second, isNearChange } = zoneNamed(zone).read(wallClock(zone, ms))
        const isTwice = minute >= -minutes && minute < minutes
        expect([first, second].includes(ms), `${minute}`).toBe(true)
        expect(second - first, `${minute}`).toBe(isTwice ? minutes * 60_000 : 0)
        expect(isNearChange).toBe(true)
      }
    },
  )

  it('has a name', () => {
    for (const zone of [...ZONES, 'UTC', 'Etc/GMT+5']) expect(isZoneName(zone)).toBe(true)
    for (const zone of ['', '+01:00', 'Europe/Nowhere', 'none at all', '__proto__'])
      expect(isZoneName(zone)).toBe(false)
    expect(() => new Zone('Europe/Nowhere')).toThrow(RangeError)
  })
})
