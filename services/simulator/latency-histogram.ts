import { createHistogram } from 'node:perf_hooks'

/** A day: what takes longer is counted as that long. */
const LONGEST_US = 86_400_000_000

/** Latencies in ms, in fixed memory: three significant digits, rounded up, from 1 us to a day. */
export class LatencyHistogram {
  readonly #us = createHistogram({ lowest: 1, highest: LONGEST_US, figures: 3 })

  get count(): number {
    return this.#us.count
  }

  /** The largest one, in ms. */
  get max(): number {
    return this.#us.max / 1000
  }

  /** Counts one latency in ms. */
  add(ms: number): void {
    this.#us.record(Math.min(Math.max(1, Math.round(ms * 1000)), LONGEST_US))
  }

  /** The latency in ms that `share` (above 0, to 1) of all stay below; 0 when nothing was counted. */
  percentile(share: number): number {
    const { count } = this
    if (count === 0) return 0
    // Node takes the nearest rank, which may be one below.
    return this.#us.percentile((100 * Math.ceil(share * count)) / count) / 1000
  }
}
