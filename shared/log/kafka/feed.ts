import { SluiceError, toSluiceError } from '../../errors.ts'
import type { LogRecord } from '../../telemetry.ts'
import { decodeRecordBatches, type Run } from './record-batch.ts'

/** A partition with less than this in memory is fetched further: the next records are there when the last are done. */
const AHEAD_BYTES = 512 * 1024

export interface FeedOptions {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Only the topic of this id is read, where the broker can tell; one made anew is {@link onOutOfRange}, too. */
  readonly id?: string | undefined
  /** The next offset is not in the log. Resolves with the one to go on at. */
  readonly onOutOfRange: (offset: number) => Promise<number>
}

/** One partition's records from an offset on, fetched ahead. */
export class Feed {
  readonly topic: string
  readonly partition: number
  readonly id: string | undefined
  /** Offset behind the last record, as of the last answer. */
  end = 0
  /** The next offset to fetch. */
  position: number
  readonly #onOutOfRange: (offset: number) => Promise<number>
  readonly #events: { readonly wake: () => void; readonly closed: (feed: Feed) => void }
  readonly #runs: { run: Run; bytes: number }[] = []
  #bytes = 0
  #failure: SluiceError | undefined
  #isClosed = false
  #waiter: (() => void) | undefined

  constructor(options: FeedOptions, events: { wake: () => void; closed: (feed: Feed) => void }) {
    this.topic = options.topic
    this.partition = options.partition
    this.id = options.id
    this.position = options.offset
    this.#onOutOfRange = options.onOutOfRange
    this.#events = events
  }

  get hasRoom(): boolean {
    return this.#bytes < AHEAD_BYTES && this.#failure === undefined && !this.#isClosed
  }

  /**
   * Resolves with the next records, at most `limit`, or undefined once the signal is aborted. Rejects when the feed has
   * failed and nothing is left of what was fetched before.
   */
  async next(limit: number, signal: AbortSignal): Promise<Run | undefined> {
    while (this.#runs.length === 0) {
      if (signal.aborted) return undefined
      if (this.#failure !== undefined) throw this.#failure
      const { promise, resolve } = Promise.withResolvers<void>()
      const wake = (): void => resolve()
      this.#waiter = wake
      signal.addEventListener('abort', wake, { once: true })
      await promise
      signal.removeEventListener('abort', wake)
      this.#waiter = undefined
    }
    if (signal.aborted) return undefined
    const hadRoom = this.hasRoom
    const run = this.#cut(limit)
    if (!hadRoom && this.hasRoom) this.#events.wake()
    return run
  }

  /** Takes what a fetch returned for the partition; how many records of it were new. */
  take(bytes: Buffer): number {
    if (bytes.length === 0) return 0
    try {
      const { runs, next, kept } = decodeRecordBatches(bytes, this.position)
      this.position = next
      let records = 0
      for (const run of runs) {
        this.#runs.push({ run, bytes: kept / runs.length })
        this.#bytes += kept / runs.length
        records += run.records.length
      }
      if (runs.length > 0) this.#waiter?.()
      return records
    } catch (error) {
      this.fail(new SluiceError('log_corrupt', `${this.topic}, partition ${this.partition}: ${String(error)}`))
      return 0
    }
  }

  async relocate(): Promise<void> {
    try {
      this.position = await this.#onOutOfRange(this.position)
    } catch (error) {
      const failure = toSluiceError(error)
      // Asked again by the next fetch, which is refused in the same way.
      if (!failure.canRetry) this.fail(failure)
    }
  }

  fail(error: SluiceError): void {
    this.#failure ??= error
    this.#waiter?.()
  }

  close(): void {
    this.#isClosed = true
    this.#events.closed(this)
  }

  /** Up to `limit` records without a hole, of as many runs as it takes. */
  #cut(limit: number): Run | undefined {
    const [head] = this.#runs
    if (head === undefined) return undefined
    const { firstOffset } = head.run
    const records: LogRecord[] = []
    for (let entry = this.#runs[0]; entry !== undefined && records.length < limit; entry = this.#runs[0]) {
      const { run, bytes } = entry
      if (run.firstOffset !== firstOffset + records.length) break
      const left = limit - records.length
      if (run.records.length <= left) {
        for (const record of run.records) records.push(record)
        this.#runs.shift()
        this.#bytes -= bytes
        continue
      }
      for (const record of run.records.slice(0, left)) records.push(record)
      // Its share of the bytes stays counted until its last record is taken: the values are views of them.
      this.#runs[0] = {
        run: { firstOffset: run.firstOffset + left, records: run.records.slice(left) },
        bytes,
      }
    }
    return { firstOffset, records }
  }
}
