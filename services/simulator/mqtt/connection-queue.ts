/** Handshakes at the same time: a broker's listen queue is short. */
const MAX_CONNECTING = 64
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 2_000

/**
 * Who may connect when: a bounded number at a time, and whoever failed again after a pause that doubles up to 2 s, with
 * jitter, so that many devices do not come back in step.
 */
export class ConnectionQueue {
  readonly #connect: (index: number) => void
  readonly #waiting: number[] = []
  readonly #connecting = new Set<number>()
  readonly #pauseMs: Float64Array
  readonly #retries = new Set<NodeJS.Timeout>()

  constructor(count: number, connect: (index: number) => void) {
    this.#connect = connect
    this.#pauseMs = new Float64Array(count).fill(FIRST_RETRY_MS)
  }

  /** Connects everybody. */
  start(): void {
    for (const index of this.#pauseMs.keys()) this.#waiting.push(index)
    this.#proceed()
  }

  connected(index: number): void {
    this.#connecting.delete(index)
    this.#pauseMs[index] = FIRST_RETRY_MS
    this.#proceed()
  }

  /** A connection went, or was not made: it is tried again later. */
  failed(index: number): void {
    this.#connecting.delete(index)
    const pause = this.#pauseMs[index] ?? LAST_RETRY_MS
    this.#pauseMs[index] = Math.min(pause * 2, LAST_RETRY_MS)
    const retry = setTimeout(
      () => {
        this.#retries.delete(retry)
        this.#waiting.push(index)
        this.#proceed()
      },
      pause * (0.5 + Math.random() / 2),
    )
    this.#retries.add(retry)
    this.#proceed()
  }

  close(): void {
    this.#waiting.length = 0
    for (const retry of this.#retries) clearTimeout(retry)
    this.#retries.clear()
  }

  #proceed(): void {
    while (this.#connecting.size < MAX_CONNECTING) {
      const index = this.#waiting.shift()
      if (index === undefined) return
      this.#connecting.add(index)
      this.#connect(index)
    }
  }
}
