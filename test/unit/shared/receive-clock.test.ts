import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createReceiveClock, ReceiveClock } from '../../../shared/receive-clock.ts'
import { toNanoseconds } from '../../../shared/telemetry.ts'

describe('ReceiveClock', () => {
  it('leaves a nanosecond for each byte of a payload before the next stamp, whatever the wall clock does', () => {
    const step = fc.record({ wall: fc.integer({ min: -5_000, max: 5_000 }), bytes: fc.nat({ max: 1_000_000 }) })
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 50 }), (steps) => {
        let wall = 1_700_000_000_000
        const clock = new ReceiveClock(undefined, () => wall)
        let free = 0n
        for (const { wall: change, bytes } of steps) {
          wall += change
          const stamp = clock.nextStamp(bytes)
          expect(stamp.ns).toBeGreaterThanOrEqual(0)
          expect(stamp.ns).toBeLessThan(1_000_000)
          expect(stamp.ms).toBeGreaterThanOrEqual(wall)
          expect(toNanoseconds(stamp)).toBeGreaterThanOrEqual(free)
          free = toNanoseconds(stamp) + BigInt(Math.max(1, bytes))
        }
      }),
    )
  })

  it('is the wall clock, with no rest, for the first message of a millisecond', () => {
    let wall = 1_000
    const clock = new ReceiveClock(undefined, () => wall)
    expect(clock.nextStamp(150)).toEqual({ ms: 1_000, ns: 0 })
    expect(clock.nextStamp(20)).toEqual({ ms: 1_000, ns: 150 })
    expect(clock.nextStamp(0)).toEqual({ ms: 1_000, ns: 170 })
    expect(clock.nextStamp(0)).toEqual({ ms: 1_000, ns: 171 })
    wall = 1_001
    expect(clock.nextStamp(20)).toEqual({ ms: 1_001, ns: 0 })
  })

  it('goes on behind the newest record of the log and all that it can have reserved', () => {
    const newest = { ms: 9_000_000_000_000, ns: 999_999 }
    const stamp = createReceiveClock(newest).nextStamp(1)
    expect(toNanoseconds(stamp)).toBeGreaterThan(toNanoseconds(newest) + 1_000_000n)
  })
})
