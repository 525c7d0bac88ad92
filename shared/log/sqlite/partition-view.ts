import type { SluiceError } from '../../errors.ts'
import type { Instant } from '../../telemetry.ts'
import type { PartitionState, StoredRow } from './messages.ts'
import { TailCache } from './tail-cache.ts'

/** What the main thread knows of a partition: its bounds, its newest rows, and who waits for more. */
export class PartitionView {
  start: number
  end: number
  newest: Instant | undefined
  readonly tail: TailCache
  readonly #wakers = new Set<() => void>()
  #failure: SluiceError | undefined

  constructor(state: PartitionState, tailBytes: number) {
    this.start = state.start
    this.end = state.end
    this.newest = state.ms < 0 ? undefined : { ms: state.ms, ns: state.ns }
    this.tail = new TailCache(tailBytes)
  }

  /** A row became durable. */
  advance(row: StoredRow, newest: Instant): void {
    this.end = row.firstOffset + row.records
    const before = this.newest
    if (before === undefined || newest.ms > before.ms || (newest.ms === before.ms && newest.ns > before.ns)) {
      this.newest = newest
    }
    this.tail.add(row)
    this.#wake()
  }

  /** Every wait, now and later, ends with this error. */
  fail(error: SluiceError): void {
    this.#failure ??= error
    this.#wake()
  }

  /** Resolves when there is something at or behind `offset`, or `signal` is aborted. */
  async waitFor(offset: number, signal: AbortSignal): Promise<void> {
    while (this.end <= offset && !signal.aborted) {
      this.check()
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#wakers.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.#wakers.add(wake)
        signal.addEventListener('abort', wake)
      })
    }
    this.check()
  }

  /** Throws what {@link fail} was told. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #wake(): void {
    for (const wake of [...this.#wakers]) wake()
  }
}
