import { setImmediate as nextTurn } from 'node:timers/promises'
import type { UploadedTable } from '../../shared/codecs/uploaded-table.ts'
import { decodeRecords, SeriesTable } from '../../shared/decoders/decode.ts'
import { learn, type DecodedBy } from '../../shared/decoders/learn.ts'
import { DecodedColumns } from '../../shared/decoders/decoded.ts'
import { toSluiceError, type SluiceError } from '../../shared/errors.ts'
import {
  INGEST_GROUP,
  type Assignment,
  type LogBatch,
  type LogConsumer,
  type LogGap,
  type TelemetryLog,
} from '../../shared/log/port.ts'
import type { Logger } from '../../shared/process/logger.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import type { IngestMetrics } from './metrics.ts'
import { slicesOf, type Progress, type Slice } from './slice.ts'
import { Taken } from './taken.ts'
import type { Retry } from './retry.ts'

const NOTHING = new DecodedColumns()
const NEVER = new AbortController().signal

export interface LogReaderOptions {
  readonly log: Pick<TelemetryLog, 'consume'>
  readonly registry: DecodedBy
  readonly uploaded: UploadedTable
  readonly retry: Retry
  readonly metrics: IngestMetrics
  readonly logger: Logger
  readonly batchRecords: number
  /** Takes decoded records on; resolves when there is room for more. */
  readonly push: (slice: Slice, signal: AbortSignal) => Promise<void>
  readonly onRevoked: (progress: Progress) => void
}

/** Reads the log by group, decodes, and keeps how far each partition is. Opens a new consumer when one stops. */
export class LogReader {
  readonly #options: LogReaderOptions
  readonly #table: SeriesTable
  readonly #progress = new Map<number, Progress>()
  readonly #assigned = new Map<number, Assignment>()
  /** What tells partitions that cannot be read on from each other. */
  readonly #steps = new Map<number, symbol>()
  #consumer: LogConsumer | undefined
  #parked = false
  /** Nothing is read any more, and nothing will be. */
  isOver = false

  constructor(options: LogReaderOptions) {
    this.#options = options
    this.#table = new SeriesTable({ uploaded: options.uploaded })
  }

  get consumer(): LogConsumer | undefined {
    return this.#consumer
  }

  progress(): Iterable<Progress> {
    return this.#progress.values()
  }

  /** Begins to take. A log that does not let us in yet is tried again, beside it. Rejects with what waiting cannot mend. */
  async start(): Promise<void> {
    try {
      await this.#open()
    } catch (error) {
      const failure = toSluiceError(error)
      if (!failure.canRetry) throw failure
      void this.#reopen(failure)
    }
  }

  async #open(): Promise<void> {
    const { log, batchRecords, metrics } = this.#options
    this.#consumer = await log.consume({
      topic: 'telemetry.raw',
      group: INGEST_GROUP,
      maxRecords: batchRecords,
      onBatch: (batch, signal) => this.#take(batch, signal),
      onAssigned: (assignment) => {
        this.#assigned.set(assignment.partition, assignment)
        metrics.assigned.set({ partition: assignment.partition }, 1)
      },
      onRevoked: (partition) => this.#revoke(partition),
      onGap: (gap) => this.#passGap(gap),
      onStuck: (partition, error) => this.#stuck(partition, error),
      onError: (error) => void this.#reopen(error),
    })
  }

  /** Starts again at what is committed. */
  readAgain(): void {
    // Without a consumer that is under way already.
    if (this.#consumer !== undefined) void this.#reopen(undefined)
  }

  /** Takes nothing more; what is on its way goes on. */
  park(): void {
    this.#parked = true
  }

  #isParked(): boolean {
    return this.#parked
  }

  async close(): Promise<void> {
    this.#parked = true
    await this.#consumer?.close()
  }

  async #take(batch: LogBatch, signal: AbortSignal): Promise<void> {
    const progress = this.#progressOf(batch)
    const { retry } = this.#options
    let firstOffset = batch.firstOffset
    for (const records of slicesOf(batch.records)) {
      // Not taken, and not refused: the consumer is about to be closed, and the next one reads it again.
      if (this.#parked) return untilAborted(signal)
      if (firstOffset > batch.firstOffset) await nextTurn()
      const { policies } = this.#table
      if (policies.namesUploaded || policies.missing(records).length > 0) await this.#learn(records, signal)
      if (signal.aborted) return
      if (retry.ended) return untilAborted(signal)
      await this.#options.push(this.#decode(progress, firstOffset, records), signal)
      firstOffset += records.length
    }
  }

  /** Records are decoded by the policies that they name: until those are known, the partition waits. */
  async #learn(records: readonly LogRecord[], signal: AbortSignal): Promise<void> {
    const { policies } = this.#table
    const { registry, retry, metrics } = this.#options
    try {
      await retry.run('registry', async () => signal.aborted || learn(this.#table, records, registry))
    } catch (error) {
      if (!retry.ended) throw error
    }
    metrics.policies.set(policies.size)
  }

  /**
   * Commits the position behind a gap as if its records had been stored, when all before it is stored: otherwise the same
   * gap would be met, and counted, at each start and rebalance until the next record comes.
   */
  #passGap(found: LogGap): void {
    const { partition, reason, from, next } = found
    const isReplaced = reason === 'replaced'
    const progress = this.#progressOf({ partition, firstOffset: isReplaced ? next : from })
    if (isReplaced) progress.isNew = false
    // What this process has read itself it knows best.
    const gap = { ...found, beforeMs: progress.storedMs ?? found.beforeMs }
    void this.#options.push({ progress, firstOffset: next, records: [], decoded: NOTHING, gap }, NEVER)
  }

  #decode(progress: Progress, firstOffset: number, records: readonly LogRecord[]): Slice {
    const { metrics, logger } = this.#options
    const readMs = Date.now()
    const started = performance.now()
    const { repeats, note } = progress.taken.look(records)
    const decoded = decodeRecords(records, this.#table, repeats)
    const seconds = (performance.now() - started) / 1000
    metrics.decodeSeconds.observe(seconds)
    metrics.useful.decoded(seconds)
    metrics.batchRecords.observe(records.length)
    metrics.readings.inc(decoded.readings)
    metrics.nulls.inc(decoded.nulls)
    metrics.suspects.inc(decoded.suspects.length)
    metrics.handedOnRepeats.inc(repeats.size)
    metrics.series.set(this.#table.size)
    for (const [record, { first, counts }] of decoded.faults) {
      if (!counts.has('decoder_failed')) continue
      const at = { code: 'decoder_failed', partition: progress.partition, offset: firstOffset + record }
      logger.error({ ...at, stack: first[0]?.detail }, 'a decoder failed; its record is a dead letter')
    }
    return { progress, firstOffset, records, decoded, note, readMs, decodedMs: Date.now() }
  }

  #progressOf({ partition, firstOffset }: Pick<LogBatch, 'partition' | 'firstOffset'>): Progress {
    const known = this.#progress.get(partition)
    if (known !== undefined) return known
    const assigned = this.#assigned.get(partition) ?? { log: '', end: firstOffset, isNew: false, note: undefined }
    const { log, end, isNew, note } = assigned
    const places = { stored: firstOffset, storedMs: undefined, committed: firstOffset }
    const progress = { log, partition, end, isNew, ...places, taken: Taken.read(note), note, revoked: false }
    this.#progress.set(partition, progress)
    return progress
  }

  #stuck(partition: number, error: SluiceError | undefined): void {
    const { retry } = this.#options
    const step = this.#steps.get(partition) ?? Symbol(`partition ${partition}`)
    this.#steps.set(partition, step)
    if (error === undefined) retry.works(step)
    else retry.fails(step, 'log', error)
  }

  #revoke(partition: number): void {
    this.#options.metrics.assigned.remove({ partition })
    this.#stuck(partition, undefined)
    const progress = this.#progress.get(partition)
    if (progress === undefined) return
    this.#progress.delete(partition)
    progress.revoked = true
    this.#options.onRevoked(progress)
  }

  /** A consumer that stopped by itself is replaced; its partitions start again at what is committed. */
  async #reopen(stopped: SluiceError | undefined): Promise<void> {
    const { retry, logger } = this.#options
    if (this.#parked) return
    const old = this.#consumer
    this.#consumer = undefined
    for (const partition of [...this.#progress.keys()]) this.#revoke(partition)
    let reason: SluiceError | undefined = stopped
    try {
      await old?.close()
      await retry.run('log', async () => {
        // The stop counts as the first failed attempt: it is shown, and waited for.
        const failed = reason
        reason = undefined
        if (failed !== undefined) throw failed
        await this.#open()
      })
      // Closed while it was opening: nobody else would close it.
      if (this.#isParked()) await this.consumer?.close()
    } catch (error) {
      if (retry.ended) return
      this.isOver = true
      logger.fatal({ err: error }, 'the consumer stopped for good')
    }
  }
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
