import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DeviceClock, type ClockStep } from '../../../shared/device-clock.ts'

const T = Date.UTC(2026, 5, 1)
const MINUTE = 60_000
const HOUR = 60 * MINUTE

interface Sent {
  /** True time at which it was made, and at which it came. */
  readonly madeMs: number
  readonly delayMs: number
  /** How far the clock of the device was ahead of the true time. */
  readonly errorMs: number
}

/** Steps that are told, in the order in which the messages come, and the clock. */
function see(sent: readonly Sent[], clock = new DeviceClock()): { steps: ClockStep[]; clock: DeviceClock } {
  const steps: ClockStep[] = []
  let now = clock
  for (const { madeMs, delayMs, errorMs } of sent) {
    const step = now.see(madeMs + errorMs, madeMs + delayMs)
    if (step !== undefined) steps.push(step)
    now = DeviceClock.read(now.write())
  }
  return { steps, clock: now }
}

function every(count: number, everyMs: number, of: (i: number) => Partial<Sent> = () => ({})): Sent[] {
  return Array.from({ length: count }, (_, i) => {
    return { madeMs: T + i * everyMs, delayMs: 50 + ((i * 7919) % 900), errorMs: 0, ...of(i) }
  })
}

describe('the clock of a device', () => {
  it('is as far off as its error less the least delay, and its text is short', () => {
    const any = fc.record({
      errorMs: fc.integer({ min: -2 * 365 * 24 * HOUR, max: 24 * HOUR }),
      delays: fc.array(fc.integer({ min: 20, max: 4_000 }), { minLength: 3, maxLength: 200 }),
      everyMs: fc.constantFrom(100, 1_000, MINUTE),
    })
    fc.assert(
      fc.property(any, ({ errorMs, delays, everyMs }) => {
        const short = delays.slice(0, 1_200_000 / everyMs / 4)
        const sent = short.map((delayMs, i) => ({ madeMs: T + i * everyMs, delayMs, errorMs }))
        const { steps, clock } = see(sent)
        expect(steps).toEqual([])
        expect(clock.state?.offsetMs).toBe(errorMs - Math.min(...short))
        expect(clock.write().length).toBeLessThan(300)
      }),
      { numRuns: 200 },
    )
  })

  it.each([
    ['+1 h', HOUR],
    ['-1 d', -24 * HOUR],
    ['+6 s', 6_000],
    ['-56 years, to 1970', -(T - 12_000)],
    ['to 2038', Date.UTC(2038, 0, 19, 3, 14, 7) - T],
  ])('a step of %s is told once, however long it lasts', (_name, by) => {
    for (const everyMs of [1_000, MINUTE, HOUR]) {
      const { steps, clock } = see(every(300, everyMs, (i) => ({ errorMs: i < 100 ? 0 : by, delayMs: 80 })))
      expect(steps).toEqual([{ fromMs: -80, toMs: by - 80 }])
      expect(clock.state?.offsetMs).toBe(by - 80)
      expect(clock.state?.stepped).toEqual({ atMs: T + 100 * everyMs + 80, byMs: by })
    }
  })

  it('each step of several is told once', () => {
    const errors = [0, 3_600_000, -7_200_000, 0]
    const { steps } = see(every(400, 10_000, (i) => ({ errorMs: errors[Math.floor(i / 100)] ?? 0, delayMs: 100 })))
    expect(steps.map(({ fromMs, toMs }) => toMs - fromMs)).toEqual([3_600_000, -10_800_000, 7_200_000])
  })

  it('a clock that drifts by 100 ppm is followed, and does not step', () => {
    const drift = (i: number) => ({ errorMs: Math.round(i * MINUTE * 1e-4), delayMs: 100 })
    const { steps, clock } = see(every(5_000, MINUTE, drift))
    expect(steps).toEqual([])
    expect(clock.state?.offsetMs).toBe(Math.round(4_999 * MINUTE * 1e-4) - 100)
    const slow = see(every(5_000, MINUTE, (i) => ({ errorMs: -Math.round(i * MINUTE * 1e-4), delayMs: 100 })))
    expect(slow.steps).toEqual([])
    expect(slow.clock.state?.offsetMs).toBeCloseTo(-(4_999 * MINUTE * 1e-4) - 100, -3)
  })

  it('a backlog is no step, at the beginning or between, at whatever rate it is sent', () => {
    for (const [everyMs, sendMs] of [
      [MINUTE, 5],
      [1_000, 100],
      [10_000, 1_000],
    ] as const) {
      const end = T + 500 * everyMs
      const late = Array.from({ length: 400 }, (_, i) => {
        const madeMs = T + 100 * everyMs + i * everyMs
        return { madeMs, errorMs: 0, delayMs: end + i * sendMs - madeMs }
      })
      const live = every(600, everyMs, () => ({ delayMs: 100 }))
      const sent = [...live.slice(0, 100), ...late, ...live.slice(560)]
      expect(see(sent).steps).toEqual([])
      expect(see(sent.slice(100)).clock.state?.offsetMs).toBe(-100)
    }
  })

  it('a clock that says anything has no step', () => {
    const { steps } = see(every(1_000, 1_000, (i) => ({ errorMs: ((i * 104_729) % 1_000_003) * 1_000 })))
    expect(steps).toEqual([])
  })
})
