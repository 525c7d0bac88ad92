/** Smaller ones are how a clock is kept right. */
const STEP_MS = 2_000

/**
 * The wall clock by which times are stored, and its steps: a step moves what is stored along with it, so that a session
 * lasts as long as was said whatever is done to the clock while it waits.
 */
export class WallClock {
  readonly #wall: () => number
  readonly #steady: () => number
  #lastWall: number
  #lastSteady: number

  constructor(wall = () => Date.now(), steady = () => performance.now()) {
    this.#wall = wall
    this.#steady = steady
    this.#lastWall = wall()
    this.#lastSteady = steady()
  }

  get now(): number {
    return Math.round(this.#wall())
  }

  /** Milliseconds by which the clock was set since this was asked last; 0 when it was not. */
  takeStep(): number {
    const [wall, steady] = [this.#wall(), this.#steady()]
    const step = wall - this.#lastWall - (steady - this.#lastSteady)
    this.#lastWall = wall
    this.#lastSteady = steady
    return Math.abs(step) < STEP_MS ? 0 : Math.round(step)
  }
}
