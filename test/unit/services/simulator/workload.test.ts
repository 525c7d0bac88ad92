import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { generatedWorkload, stepOf } from '../../../../services/simulator/workload.ts'

const options = fc.record({
  seed: fc.nat(2 ** 32 - 1),
  startMs: fc.integer({ min: 1e12, max: 3e12 }),
  stepUs: fc.oneof(
    fc.integer({ min: 1, max: 10_000 }),
    fc.integer({ min: 1, max: 10_000 }).map((ms) => ms * 1000),
  ),
})
const device = fc.nat(60_000)
const sequence = fc.nat(10_000_000)

describe('made-up readings', () => {
  it('are JSON that holds what verification expects', () => {
    fc.assert(
      fc.property(options, device, sequence, (made, who, which) => {
        const workload = generatedWorkload(made)
        const { ts, ...values } = JSON.parse(workload.payload(who, which)) as Record<string, number>
        const microseconds = (ts ?? 0) < 1e14 ? (ts ?? 0) * 1000 : ts
        expect(microseconds).toBe(workload.timeUs(which))
        expect(Object.keys(values)).toEqual(workload.fields)
        for (const field of workload.fields) expect(values[field]).toBe(workload.value(who, which, field))
      }),
    )
  })

  it('have a time of their own that leads back to them', () => {
    fc.assert(
      fc.property(options, sequence, (made, which) => {
        const workload = generatedWorkload(made)
        expect(workload.sequenceAt(workload.timeUs(which))).toBe(which)
        expect(workload.sequenceAt(workload.timeUs(0) - made.stepUs)).toBeUndefined()
        if (made.stepUs > 1) expect(workload.sequenceAt(workload.timeUs(which) + 1)).toBeUndefined()
      }),
    )
  })

  it('are the same for the same seed and others for another', () => {
    const values = (seed: number) => {
      const workload = generatedWorkload({ seed, startMs: 0, stepUs: 1 })
      return Array.from({ length: 100 }, (_, index) => workload.value(3, index, 'value'))
    }
    expect(values(1)).toEqual(values(1))
    expect(values(1)).not.toEqual(values(2))
    expect(new Set(values(1)).size).toBeGreaterThan(50)
  })

  it('step in whole milliseconds where a device is that slow, and never stand still', () => {
    expect([stepOf(5000, 1000), stepOf(0, 5), stepOf(3, 1), stepOf(1e9, 1)]).toEqual([200_000, 1, 333_000, 1])
  })
})
