import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_AHEAD_MS, PATIENCE_MS, ReceiveClock } from '../../../../shared/stamps/receive-clock.ts'
import { idOfStamp, STAMP_STEP } from '../../../../shared/stamps/scheme.ts'
import { fromNanoseconds, toNanoseconds } from '../../../../shared/telemetry.ts'

const NOON = 1_767_268_800_000

/** The next stamp, which must not have to wait. */
function take(clock: ReceiveClock, elements = 1): bigint {
  expect(clock.stamp(elements)).toBe(true)
  return toNanoseconds(clock)
}

describe('ReceiveClock', () => {
  it('makes stamps of its id, a step apart for each element, whatever a clock does that is waited for', () => {
    const step = fc.record({ wall: fc.integer({ min: -300, max: 300 }), elements: fc.integer({ min: 1, max: 10_000 }) })
    fc.assert(
      fc.property(fc.nat(255), fc.array(step, { minLength: 2, maxLength: 50 }), (id, steps) => {
        let wall = NOON
        let latest = 0
        const clock = new ReceiveClock({ id, after: undefined }, () => wall)
        let free = 0n
        for (const { wall: change, elements } of steps) {
          wall += change
          latest = Math.max(latest, wall)
          if (!clock.stamp(elements)) {
            // It would have been too far ahead.
            expect(toNanoseconds(clock.free) + BigInt(elements * STAMP_STEP)).toBeGreaterThan(
              BigInt(latest + MAX_AHEAD_MS - 1) * 1_000_000n,
            )
            continue
          }
          const stamp = toNanoseconds(clock)
          expect([clock.ns >= 0, clock.ns < 1_000_000]).toEqual([true, true])
          expect([stamp % 256n, BigInt(idOfStamp(clock))]).toEqual([BigInt(id), BigInt(id)])
          expect(stamp).toBeGreaterThanOrEqual(free)
          expect(stamp).toBeGreaterThanOrEqual(BigInt(latest) * 1_000_000n)
          free = stamp + BigInt(elements * STAMP_STEP)
          expect(fromNanoseconds(free).ms).toBeLessThan(latest + MAX_AHEAD_MS)
        }
      }),
    )
  })

  it('is the first moment of its id in the millisecond that the wall clock shows', () => {
    let wall = NOON + 1
    const clock = new ReceiveClock({ id: 70, after: undefined }, () => wall)
    expect([take(clock), clock.ms, clock.ns]).toEqual([BigInt(NOON + 1) * 1_000_000n + 6n, NOON + 1, 6])
    expect([take(clock), clock.ms, clock.ns]).toEqual([BigInt(NOON + 1) * 1_000_000n + 262n, NOON + 1, 262])
    wall += 1
    expect([take(clock), clock.ms, clock.ns]).toEqual([BigInt(NOON + 2) * 1_000_000n + 198n, NOON + 2, 198])
  })

  it('makes nobody wait for more than its stamps are ahead, and counts who waits', () => {
    let wall = NOON
    const clock = new ReceiveClock({ id: 0, after: undefined }, () => wall)
    let messages = 0
    while (clock.stamp(10_000)) messages += 1
    // 2.56 ms each.
    expect(messages).toBe(39)
    expect(clock.slowed).toBe(1)
    expect(() => clock.stampOf(10_000)).toThrow(expect.objectContaining({ code: 'broker_overloaded' }))
    wall += 3
    expect(clock.stamp(10_000)).toBe(true)
  })

  it('stands still while a clock that was set back a little returns, and goes on with it', () => {
    let wall = NOON
    const clock = new ReceiveClock({ id: 5, after: undefined }, () => wall)
    const before = take(clock)
    wall -= PATIENCE_MS
    for (let n = 1; n <= 100; n++) expect(take(clock)).toBe(before + BigInt(n * STAMP_STEP))
    wall += PATIENCE_MS + 1
    expect([take(clock) > before, clock.ms]).toEqual([true, NOON + 1])
  })

  it('stops when the clock was set back by more, and tells it once', () => {
    let wall = NOON
    const clock = new ReceiveClock({ id: 5, after: undefined }, () => wall)
    let told = 0
    clock.onSetBack = () => (told += 1)
    take(clock)
    wall -= PATIENCE_MS + 1
    expect([clock.stamp(1), clock.stamp(1), told, clock.stopped]).toEqual([false, false, 1, 'clock_unusable'])
    clock.start({ id: 69, after: undefined })
    expect([take(clock) % 256n, clock.ms]).toEqual([69n, wall])
  })

  it('follows a clock that was set forward', () => {
    let wall = NOON
    const clock = new ReceiveClock({ id: 5, after: undefined }, () => wall)
    take(clock)
    wall += 10 * 365 * 86_400_000
    expect([take(clock) > 0n, clock.ms]).toEqual([true, wall])
  })

  it('starts after what was reserved under its id before', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.bigInt({ min: 0n, max: 10_000_000_000n }), (id, ahead) => {
        const after = fromNanoseconds(BigInt(NOON) * 1_000_000n + ahead)
        const clock = new ReceiveClock({ id, after }, () => NOON)
        const stamp = take(clock)
        expect(stamp % 256n).toBe(BigInt(id))
        expect(stamp).toBeGreaterThanOrEqual(toNanoseconds(after))
        expect(stamp).toBeLessThan(toNanoseconds(after) + 256n)
      }),
    )
  })
})
