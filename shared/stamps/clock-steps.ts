import { formatInstant, type Instant } from '../telemetry.ts'
import { PATIENCE_MS } from './receive-clock.ts'

/** What a step back of the clock did. */
export interface StepBack {
  /** How far it went, in milliseconds. */
  readonly byMs: number
  /** Stamps in this span may be wrong, or lie among those that are made again for the same time. */
  readonly from: Instant
  readonly to: Instant
  /** A step forward was undone: the stamps of the span lie in the future. */
  readonly isUndone: boolean
}

/** Tells a step of the wall clock from time that passed, by a clock that nobody sets. */
export class ClockSteps {
  #wall: number
  #steady: number
  /** Where the last step forward led to. */
  #forwardTo: number | undefined

  constructor(wall: number, steady: number) {
    this.#wall = wall
    this.#steady = steady
  }

  /** To be called now and then, and before a stamp long after the one before. */
  see(wall: number, steady: number): void {
    if (wall - this.#wall - (steady - this.#steady) > PATIENCE_MS) this.#forwardTo = wall
    this.#wall = wall
    this.#steady = steady
  }

  /** The clock was set back to `wall`, and stamps reach up to `free`. */
  back(wall: number, free: Instant): StepBack {
    const forwardTo = this.#forwardTo
    const isUndone = forwardTo !== undefined && forwardTo > wall && forwardTo <= free.ms
    this.#forwardTo = undefined
    return { byMs: free.ms - wall, from: { ms: isUndone ? forwardTo : Math.max(0, wall), ns: 0 }, to: free, isUndone }
  }
}

/** For a person. */
export function describeStep({ byMs, from, to, isUndone }: StepBack): string {
  const span = `${formatInstant(from)} to ${formatInstant({ ms: to.ms, ns: 0 })}`
  const seconds = `${Math.round(byMs / 1000)} s`
  return isUndone
    ? `a step of the clock forward was undone, ${seconds} back; readings without a time that were received meanwhile lie at ${span}`
    : `the clock was set back by ${seconds}; readings without a time from before and after that lie together at ${span}`
}
