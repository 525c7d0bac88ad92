import type { Counter } from 'prom-client'

/**
 * How long the worker was at work, in seconds: decoding or storing, without waiting for records, for company in a write,
 * or for what fails. Records per useful second is what a worker is able to do, whatever it is given: the number that
 * says how many workers a load needs (Kalavri et al., "Three steps is all you need", OSDI 2018).
 */
export class UsefulTime {
  readonly #counter: Pick<Counter, 'inc'>
  readonly #now: () => number
  #isStoring = false
  /** Milliseconds that went into attempts that failed and into waiting after them. */
  #failedMs = 0

  constructor(counter: Pick<Counter, 'inc'>, now: () => number = () => performance.now()) {
    this.#counter = counter
    this.#now = now
  }

  /** A batch was decoded; beside a write that is on its way this is no time of its own. */
  decoded(seconds: number): void {
    if (!this.#isStoring) this.#counter.inc(seconds)
  }

  /** Runs `work`, which stores a batch; one at a time. */
  async storing(work: () => Promise<void>): Promise<void> {
    const started = this.#now()
    const failedBefore = this.#failedMs
    this.#isStoring = true
    try {
      await work()
    } finally {
      this.#isStoring = false
      const failed = this.#failedMs - failedBefore
      this.#counter.inc(Math.max(0, this.#now() - started - failed) / 1000)
    }
  }

  /** An attempt failed, and what followed it was waited for. Two stores that fail at once count for both. */
  failed(ms: number): void {
    this.#failedMs += ms
  }
}
