import { BACKOFF, backoffMs } from '../../../shared/backoff.ts'

/** Handshakes at the same time: a broker's listen queue is short. */
const MAX_CONNECTING = 64

/**
 * Who may connect when: a bounded number at a time, and whoever failed again after a pause that doubles up to 2 s, with
 * jitter, so that many devices do not come back in step.
 */
export class ConnectionQueue {
  readonly #connect: (index: number) => void
  readonly #waiting: number[] = []
  readonly #connecting = new Set<number>()
  /** Failures in a row, of each. */
  readonly #failures: Uint32Array
  readonly #retries = new Set<NodeJS.Timeout>()

  constructor(count: number, connect: (index: number) => void) {
    this.#connect = connect
    this.#failures = new Uint32Array(count)
  }

  /** Connects everybody. */
  start(): void {
    for (const index of this.#failures.keys()) this.#waiting.push(index)
    this.#proceed()
  }

  connected(index: number): void {
    this.#connecting.delete(index)
    this.#failures[index] = 0
    this.#proceed()
  }

  /** A connection went, or was not made: it is tried again later. */
  failed(index: number): void {
    this.#connecting.delete(index)
    const failures = (this.#failures[index] ?? 0) + 1
    this.#failures[index] = failures
    const retry = setTimeout(
      () => {
        this.#retries.delete(retry)
        this.#waiting.push(index)
        this.#proceed()
      },
      backoffMs(BACKOFF.connect, failures),
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
