// Invariant: one append is in flight at a time, records go in the order of `enqueue`, and no waiter is told that its
// record is durable before it is. A failed append is repeated with the same records before any newer one, so nothing
// overtakes; only a record that the log will never take leaves its batch, as a dead letter.
import { BACKOFF, backoffMs, pause } from '../../../shared/backoff.ts'
import { orLate } from '../../../shared/in-time.ts'
import { toSluiceError, type ErrorCode } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import type { RecordsTooLarge, TelemetryLog } from '../../../shared/log/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { appendWhatFits, newBatch, without, type Batch, type Waiter } from './batch.ts'

/** Told of each batch that is durable, after all its waiters. Must not throw. */
export interface BatchObserver {
  (batch: {
    readonly records: readonly LogRecord[]
    readonly topics: readonly string[]
    readonly seconds: number
  }): void
}

export interface ForwarderOptions {
  readonly log: Pick<TelemetryLog, 'append'>
  readonly logger: Logger
  /** Told of each batch that is durable, in this order; the array may still grow. */
  readonly observers: readonly BatchObserver[]
  /** Called with each failed append, and how often this batch failed. */
  readonly onFailure?: (attempts: number) => void
  /** Called with each record that is too large for the log, before its waiter is told. */
  readonly onTooLarge?: (record: LogRecord, topic: string, detail: string) => void
}

/** One fsync for this many at most: beyond it a batch gains nothing and its first message only waits longer. */
const MAX_BATCH_RECORDS = 4_000
const MAX_BATCH_BYTES = 4 * 1024 * 1024

/**
 * Those who are told of an append send their next messages: together with them an append carries more and costs no more.
 * They are waited for at most a quarter of what the last append took, and never when that was quick or was few records.
 */
const GATHER_SHARE = 0.25
const GATHER_LEAST_MS = 1
const GATHER_MOST_MS = 5
const GATHER_BEHIND_RECORDS = 8
/** An append of so many costs Kafka no more per record than a larger one. */
const ENOUGH_RECORDS = 1_000

/** Repeated failures are logged this often. */
const LOG_EVERY_MS = 10_000

/**
 * The only way of telemetry into the log. Records go in the order in which they were enqueued, in one append at a time:
 * at once when nothing is in flight (what arrived in the same turn of the event loop goes together), else when the last
 * append has returned, and a little later when that one was slow: see `#gather`.
 *
 * A failed append is repeated without end, with the same records before any newer one: so nothing overtakes, nothing is
 * acknowledged before it is durable, and what waits for it keeps waiting. Only a record that the log will never take
 * leaves the batch, alone. The caps on what waits are kept by the
 * caller, who reads `records` and `bytes` (see backpressure.ts).
 */
export class Forwarder {
  /** Enqueued and not yet durable. */
  records = 0
  /** Payload bytes of these. */
  bytes = 0

  readonly #options: ForwarderOptions
  #queue: Batch = newBatch()
  readonly #full: Batch[] = []
  #busy = false
  #scheduled = false
  /** Callers of `append` that wait. */
  readonly #promised = new Set<(durable: boolean) => void>()
  readonly #stop = new AbortController()
  #idle: (() => void) | undefined
  #loggedAt = -LOG_EVERY_MS
  /** So many records end the wait for more. */
  #enoughAt = Infinity
  #enough: () => void = () => undefined

  constructor(options: ForwarderOptions) {
    this.#options = options
  }

  /** Since when the append in flight is under way, failed attempts included, in ms of `performance.now()`. */
  appendingSince: number | undefined
  /** Since when it is being tried without success. */
  failingSince: number | undefined
  /** Why it failed the last time; undefined while it does not fail. */
  failingWith: ErrorCode | undefined

  get isClosed(): boolean {
    return this.#stop.signal.aborted
  }

  /** Takes a record; `topic` is told to the observer. Without a waiter there is no acknowledgement (QoS 0). */
  enqueue(record: LogRecord, topic: string, waiter: Waiter | undefined): void {
    const queue = this.#queue
    queue.records.push(record)
    queue.topics.push(topic)
    queue.waiters.push(waiter)
    queue.bytes += record.value.byteLength
    this.records += 1
    this.bytes += record.value.byteLength
    if (queue.records.length >= MAX_BATCH_RECORDS || queue.bytes >= MAX_BATCH_BYTES) {
      this.#full.push(queue)
      this.#queue = newBatch()
    }
    if (this.records >= this.#enoughAt) this.#enough()
    if (this.#busy || this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#start)
  }

  /** Calls `begun` with the time, in ms since 1970, when the record that is enqueued next goes to the log the first time. */
  whenBegun(begun: (atMs: number) => void): void {
    ;(this.#queue.begun ??= []).push(begun)
  }

  /** Resolves when the record is durable, or refused by the log; false when the forwarder was closed before. */
  append(record: LogRecord, topic: string): Promise<boolean> {
    if (this.#stop.signal.aborted) return Promise.resolve(false)
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const ended = (): void => (this.#promised.delete(resolve), resolve(true))
    const waiter = { durable: ended, refused: ended, settled: () => undefined }
    this.#promised.add(resolve)
    this.enqueue(record, topic, waiter)
    return promise
  }

  /**
   * Waits until all that was enqueued is durable, at most `limitMs`, and not for room on a full disk. False when something
   * is not.
   */
  async drain(limitMs: number): Promise<boolean> {
    if (this.records === 0) return true
    if (this.failingWith === 'disk_full') return false
    const drained = Promise.withResolvers<void>()
    this.#idle = drained.resolve
    await orLate(drained.promise, limitMs)
    return this.records === 0
  }

  /** Stops trying. What is not durable by now never will be, and is not acknowledged. */
  close(): void {
    this.#stop.abort()
    for (const resolve of this.#promised) resolve(false)
    this.#promised.clear()
  }

  readonly #start = (): void => {
    this.#scheduled = false
    if (!this.#busy) void this.#run()
  }

  /** Appends until nothing is queued. Never rejects. */
  async #run(): Promise<void> {
    this.#busy = true
    for (let batch = this.#take(); batch !== undefined && !this.#stop.signal.aborted; batch = this.#take()) {
      const begun = performance.now()
      this.appendingSince = begun
      if (batch.begun !== undefined) tell(batch.begun)
      const appended = await this.#appendUntilDurable(batch)
      if (appended === undefined) break
      this.appendingSince = undefined
      const tookMs = performance.now() - begun
      this.#settle(batch, appended, tookMs / 1000)
      await this.#gather(batch.records.length, tookMs)
    }
    this.#busy = false
    if (this.records === 0) this.#idle?.()
  }

  /** Waits for those who were just told, until as many records are here as may be expected, or for a short time. */
  async #gather(told: number, tookMs: number): Promise<void> {
    const longestMs = Math.min(GATHER_MOST_MS, tookMs * GATHER_SHARE)
    const enough = Math.min(ENOUGH_RECORDS, this.records + told)
    if (longestMs < GATHER_LEAST_MS || told < GATHER_BEHIND_RECORDS || this.records >= enough) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, longestMs)
    this.#enough = resolve
    this.#enoughAt = enough
    await promise
    this.#enoughAt = Infinity
    clearTimeout(timer)
  }

  #take(): Batch | undefined {
    const full = this.#full.shift()
    if (full !== undefined) return full
    if (this.#queue.records.length === 0) return undefined
    const batch = this.#queue
    this.#queue = newBatch()
    return batch
  }

  /** Resolves with what the log will never take, the rest being durable; with undefined when the forwarder is closed. */
  async #appendUntilDurable(batch: Batch): Promise<RecordsTooLarge | 'whole' | undefined> {
    for (let attempts = 1; ; attempts += 1) {
      try {
        const tooLarge = await appendWhatFits(this.#options.log, batch.records)
        if (this.failingSince !== undefined) this.#options.logger.info({ attempts }, 'the log accepts records again')
        this.failingSince = undefined
        this.failingWith = undefined
        this.#loggedAt = -LOG_EVERY_MS
        return tooLarge ?? 'whole'
      } catch (error) {
        this.#noteFailure(error, attempts)
        await pause(backoffMs(BACKOFF.append, attempts), this.#stop.signal)
        if (this.#stop.signal.aborted) return undefined
      }
    }
  }

  #noteFailure(error: unknown, attempts: number): void {
    const now = performance.now()
    const { code, message } = toSluiceError(error, 'log_unavailable')
    this.failingSince ??= now
    this.failingWith = code
    this.#options.onFailure?.(attempts)
    if (now - this.#loggedAt < LOG_EVERY_MS) return
    this.#loggedAt = now
    this.#options.logger.error({ code, reason: message, attempts, waiting: this.records }, 'append failed; retrying')
  }

  #settle(batch: Batch, appended: RecordsTooLarge | 'whole', seconds: number): void {
    const { waiters, bytes } = batch
    this.records -= batch.records.length
    this.bytes -= bytes
    if (appended === 'whole') for (const waiter of waiters) waiter?.durable()
    else this.#tellApart(batch, appended)
    const { records, topics } = appended === 'whole' ? batch : without(batch, appended.records)
    // Acks of one waiter go out in one write; a waiter that was already settled has nothing left to do.
    for (const waiter of waiters) waiter?.settled()
    for (const observe of this.#options.observers) observe({ records, topics, seconds })
  }

  #tellApart({ records, topics, waiters }: Batch, tooLarge: RecordsTooLarge): void {
    for (const [i, record] of records.entries()) {
      if (tooLarge.records.has(record)) {
        this.#options.onTooLarge?.(record, topics[i] ?? '', tooLarge.message)
        waiters[i]?.refused()
      } else waiters[i]?.durable()
    }
  }
}

function tell(begun: readonly ((atMs: number) => void)[]): void {
  const now = Date.now()
  for (const one of begun) one(now)
}
