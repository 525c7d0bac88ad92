/** Each doubling of the latency is divided into this many steps, so a percentile is at most 1.6 % too high. */
const STEPS = 64
/** Up to 2^37 us, more than a day. */
const DOUBLINGS = 32

/** Latencies in fixed memory: counts in logarithmic steps, from 1 us to a day. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(STEPS * (DOUBLINGS + 1))
  #total = 0
  #max = 0

  get count(): number {
    return this.#total
  }

  /** The largest one, in ms. */
  get max(): number {
    return this.#max
  }

  /** Counts one latency in ms. */
  add(ms: number): void {
    const us = Math.max(0, Math.min(Math.round(ms * 1000), 2 ** 36))
    const index = us < STEPS ? us : stepOf(us)
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#total += 1
    if (ms > this.#max) this.#max = ms
  }

  /** The latency in ms that `share` (0 to 1) of all stay below; 0 when nothing was counted. */
  percentile(share: number): number {
    const wanted = Math.ceil(this.#total * share)
    let passed = 0
    for (let index = 0; index < this.#counts.length; index += 1) {
      passed += this.#counts[index] ?? 0
      if (passed >= wanted && passed > 0) return Math.min(upperEdge(index) / 1000, this.#max)
    }
    return 0
  }
}

function stepOf(us: number): number {
  const doubling = 31 - Math.clz32(us >= 2 ** 31 ? Math.floor(us / 64) : us) + (us >= 2 ** 31 ? 6 : 0)
  const shift = doubling - 6
  return (shift + 1) * STEPS + (Math.floor(us / 2 ** shift) - STEPS)
}

function upperEdge(index: number): number {
  if (index < STEPS) return index
  const shift = Math.floor(index / STEPS) - 1
  return (STEPS + (index % STEPS) + 1) * 2 ** shift - 1
}
