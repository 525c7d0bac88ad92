import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { BACKOFF, backoffMs, pause, type Backoff } from '../../../shared/backoff.ts'

const anyPolicy: fc.Arbitrary<Backoff> = fc
  .tuple(fc.integer({ min: 1, max: 60_000 }), fc.integer({ min: 0, max: 600_000 }))
  .map(([first, more]) => ({ first, most: first + more }))
const policies = fc.oneof(anyPolicy, fc.constantFrom(...Object.values(BACKOFF)))
/** Outages last: a loop that tries twice a second for a day fails more than 100,000 times. */
const failures = fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 10_000_000 }))

function withRandom(value: number): void {
  const random = vi.spyOn(Math, 'random').mockReturnValue(value)
  onTestFinished(() => random.mockRestore())
}

describe('the pause before the next attempt', () => {
  it('is between half and all of what it has doubled to, and never more than the most', () => {
    fc.assert(
      fc.property(policies, failures, (policy, count) => {
        // By repeated doubling, as the loops that this replaced did it.
        let full = policy.first
        for (let failure = 1; failure < count && full < policy.most; failure++) full = Math.min(policy.most, full * 2)
        const ms = backoffMs(policy, count)
        expect(ms).toBeGreaterThanOrEqual(full / 2)
        expect(ms).toBeLessThanOrEqual(full)
        expect(ms).toBeLessThanOrEqual(policy.most)
      }),
    )
  })

  it('differs between those who failed as often', () => {
    fc.assert(
      fc.property(policies, failures, (policy, count) => {
        const pauses = Array.from({ length: 20 }, () => backoffMs(policy, count))
        expect(new Set(pauses).size).toBeGreaterThan(10)
      }),
    )
  })

  it('spreads over the whole half', () => {
    withRandom(0)
    expect(backoffMs({ first: 100, most: 1_000 }, 3)).toBe(200)
    withRandom(1 - 2 ** -53)
    expect(backoffMs({ first: 100, most: 1_000 }, 3)).toBeCloseTo(400)
  })

  it.for(Object.entries(BACKOFF))('%s begins above nothing and never falls', ([, { first, most }]) => {
    expect(first).toBeGreaterThan(0)
    expect(most).toBeGreaterThanOrEqual(first)
  })
})

describe('pause', () => {
  it('resolves after its time', async () => {
    const begun = performance.now()
    await pause(20)
    expect(performance.now() - begun).toBeGreaterThanOrEqual(19)
  })

  it('resolves at once, and does not reject, when the signal is or was aborted', async () => {
    await pause(600_000, AbortSignal.abort(new Error('closing')))
    const stop = new AbortController()
    const paused = pause(600_000, stop.signal)
    stop.abort(new Error('closing'))
    await paused
  })
})
