import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Ledger } from '../../../../../services/simulator/verification/ledger.ts'

describe('the ledger', () => {
  it('keeps what a plain map keeps, whatever the order of events', () => {
    const event = fc.record({
      device: fc.nat(2),
      sequence: fc.nat(300),
      at: fc.double({ min: 0, max: 1e6, noNaN: true }),
      acknowledged: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const ledger = new Ledger({ devices: 3, startedAt: 0 })
        const model = new Map<string, number | undefined>()
        for (const { device, sequence, at, acknowledged } of events) {
          const key = `${device}/${sequence}`
          if (acknowledged) ledger.markAcknowledged(device, sequence, at)
          else ledger.markSent(device, sequence)
          if (model.get(key) === undefined) model.set(key, acknowledged ? at : undefined)
        }
        expect(ledger.sent).toBe(model.size)
        expect(ledger.acknowledged).toBe([...model.values()].filter((at) => at !== undefined).length)
        for (const { device, sequence } of events) {
          const at = model.get(`${device}/${sequence}`)
          expect(ledger.entry(device, sequence)).toBe(at === undefined ? 'sent' : 'acknowledged')
          if (at === undefined) expect(ledger.acknowledgedAfterMs(device, sequence)).toBeUndefined()
          else expect(ledger.acknowledgedAfterMs(device, sequence)).toBeCloseTo(at, 0)
        }
      }),
    )
  })

  it('knows how far a device came', () => {
    const ledger = new Ledger({ devices: 2, startedAt: 0 })
    ledger.markSent(1, 70)
    expect([ledger.length(0), ledger.length(1)]).toEqual([0, 71])
    expect(ledger.entry(1, 69)).toBe('unsent')
    expect(ledger.entry(1, 1_000_000)).toBe('unsent')
  })

  it('says when it is full instead of taking all memory', () => {
    const ledger = new Ledger({ devices: 1, startedAt: 0, maxReadings: 1000 })
    const fill = () => {
      for (let sequence = 0; sequence < 2000; sequence += 1) ledger.markSent(0, sequence)
    }
    expect(fill).toThrow(expect.objectContaining({ code: 'command_failed' }))
    expect(ledger.sent).toBeGreaterThan(400)
  })
})
