/** Older samples say nothing of how fast it goes now. */
const WINDOW_MS = 6 * 3_600_000
/** A rate over less is none. */
const LEAST_MS = 10_000
const MAX_SAMPLES = 360

interface Sample {
  readonly at: number
  readonly used: number
}

/** How fast a disk fills up, and when it will be full at that rate. */
export class DiskForecast {
  #samples: Sample[] = []
  /** Between two samples; twice as long whenever there are too many. */
  #stepMs = 1_000

  /** To be called often; `at` is in milliseconds of a clock that nobody sets. */
  note(at: number, used: number): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && at - last.at < this.#stepMs) return
    this.#samples.push({ at, used })
    if ((this.#samples[0]?.at ?? at) < at - WINDOW_MS) this.#samples.shift()
    if (this.#samples.length <= MAX_SAMPLES) return
    this.#samples = this.#samples.filter((_, i) => i % 2 === 0)
    this.#stepMs *= 2
  }

  /**
   * Milliseconds from the last sample until `limit` bytes are used, and over how many milliseconds the rate was measured;
   * undefined while that is not known, or nothing grows.
   */
  untilUsed(limit: number): { readonly ms: number; readonly overMs: number } | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (first === undefined || last === undefined) return undefined
    const overMs = last.at - first.at
    const grown = last.used - first.used
    if (overMs < LEAST_MS || grown <= 0) return undefined
    return { ms: Math.max(0, ((limit - last.used) / grown) * overMs), overMs }
  }
}
