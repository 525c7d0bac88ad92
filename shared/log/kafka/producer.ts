import { BACKOFF, backoffMs, pause } from '../../backoff.ts'
import { SluiceError, toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { LogRecord } from '../../telemetry.ts'
import type { LogMetrics } from '../log-metrics.ts'
import { RecordsTooLarge, type LogTopic } from '../port.ts'
import type { KafkaClient } from './client.ts'
import { isTooLarge, KafkaCode, partitionError } from './kafka-error.ts'
import type { KafkaMetrics } from './metrics.ts'
import {
  type Batch,
  type BatchPlan,
  firstOffsets,
  firstUnsent,
  isSettled,
  planRound,
  splitTooLarge,
} from './produce-batches.ts'
import { type Compression, recordSizeBound } from './record-batch.ts'
import { produceRequest } from './requests.ts'

/** Records that wait; the broker stops reading sockets long before (16 MB per node). */
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** Records of one round: what waits goes together up to here, and bounds what is encoded at once. */
const ROUND_BYTES = 8 * 1024 * 1024
/** What is not durable by then is rejected: whoever waits decides, and the broker repeats it in the same order. */
const GIVE_UP_MS = 30_000
/** The broker's wait for its replicas. */
const ACKS_TIMEOUT_MS = 5_000

interface Append {
  readonly records: readonly LogRecord[]
  readonly bytes: number
  readonly startedMs: number
  readonly resolve: (offsets: ReadonlyMap<number, number>) => void
  readonly reject: (error: unknown) => void
}

interface ProducerOptions {
  readonly topic: LogTopic
  /** Its name in Kafka. */
  readonly name: string
  /** Over how many partitions a round is spread; it may wait, and is told when nothing of the round is under way. */
  readonly spread: { enter(): Promise<number>; left(isDone: boolean): void }
  /** Bytes of the largest batch that the topic takes, as far as is known. */
  readonly maxBatchBytes: number
  /** Asks Kafka for that number, after it found a batch too large. */
  readonly readMaxBatchBytes: () => Promise<number>
  readonly compression: Compression
  readonly client: KafkaClient
  readonly logger: Logger
  readonly metrics: LogMetrics
  readonly kafkaMetrics: KafkaMetrics
}

/**
 * The only way of records into one topic. Appends are taken in rounds, one at a time: what arrived while the last one was
 * under way goes together, as one request to each leader with one batch per partition. A round is over when every batch
 * is confirmed by its own result in the answer: a batch that is not (its leader moved, too few replicas, no answer) is
 * sent again, to whoever leads then, before anything newer. So a partition never has two requests in flight, and order
 * holds without an idempotent producer. A batch that was stored although its answer was lost is then there twice.
 */
export class Producer {
  readonly #options: ProducerOptions
  /** See `maxBatchBytes` of the options; follows what an operator changes. */
  maxBatchBytes: number
  #queue: Append[] = []
  #waiting = 0
  #running: Promise<void> | undefined

  constructor(options: ProducerOptions) {
    this.#options = options
    this.maxBatchBytes = options.maxBatchBytes
  }

  append(records: readonly LogRecord[]): Promise<ReadonlyMap<number, number>> {
    let bytes = 0
    for (const record of records) bytes += recordSizeBound(record)
    if (this.#waiting + bytes > MAX_WAITING_BYTES && this.#waiting > 0) {
      this.#options.metrics.refused('log_unavailable')
      return Promise.reject(new SluiceError('log_unavailable', 'Kafka cannot keep up: too many records are waiting'))
    }
    const { promise, resolve, reject } = Promise.withResolvers<ReadonlyMap<number, number>>()
    this.#queue.push({ records, bytes, startedMs: performance.now(), resolve, reject })
    this.#wait(bytes)
    this.#running ??= this.#run()
    return promise
  }

  /** Resolves when nothing waits any more, durable or given up. */
  async drain(): Promise<void> {
    await this.#running
  }

  #wait(bytes: number): void {
    this.#waiting += bytes
    this.#options.metrics.waiting(this.#waiting)
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    // What is appended in the same turn goes together.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      let isEntered = false
      let appends: Append[] = []
      try {
        const partitions = await this.#options.spread.enter()
        isEntered = true
        appends = this.#take()
        const { offsets, tooLarge } = await this.#round(appends, partitions)
        this.#options.spread.left(true)
        for (const [i, append] of appends.entries()) this.#settle(append, offsets[i], tooLarge)
      } catch (error) {
        if (isEntered) this.#options.spread.left(false)
        else appends = this.#take()
        const failure = toSluiceError(error, 'log_unavailable')
        for (const append of appends) {
          this.#options.metrics.refused(failure.code)
          append.reject(failure)
        }
      }
      for (const { bytes } of appends) this.#wait(-bytes)
    }
    this.#running = undefined
  }

  #plan(): BatchPlan {
    return { maxBytes: this.maxBatchBytes, compression: this.#options.compression }
  }

  #take(): Append[] {
    let bytes = 0
    let count = 0
    for (const append of this.#queue) {
      bytes += append.bytes
      if (count > 0 && bytes > ROUND_BYTES) break
      count += 1
    }
    return this.#queue.splice(0, count)
  }

  #settle(
    { records, bytes, startedMs, resolve, reject }: Append,
    offsets: ReadonlyMap<number, number> = new Map(),
    tooLarge: ReadonlySet<LogRecord>,
  ): void {
    const { metrics, topic } = this.#options
    const refused = tooLarge.size === 0 ? [] : records.filter((record) => tooLarge.has(record))
    metrics.appended(records.length - refused.length, bytes, (performance.now() - startedMs) / 1000)
    if (refused.length === 0) return resolve(offsets)
    metrics.refused('payload_too_large')
    const most = `${this.maxBatchBytes} bytes, max.message.bytes of the topic`
    const detail = `${refused.length} of ${records.length} records for ${topic} are larger than Kafka accepts: ${most}`
    reject(new RecordsTooLarge(new Set(refused), detail))
  }

  /** Resolves with the first offsets of each append when all is durable but what the topic never takes. */
  async #round(
    appends: readonly Append[],
    partitions: number,
  ): Promise<{ offsets: ReadonlyMap<number, number>[]; tooLarge: ReadonlySet<LogRecord> }> {
    const { places, batches, recordsOf } = planRound(appends, partitions, this.#plan())
    await this.#sendAll(batches, recordsOf)
    const tooLarge = batches.filter(({ isTooLarge }) => isTooLarge)
    return {
      offsets: places.map((place) => firstOffsets(batches, place)),
      tooLarge: new Set(tooLarge.flatMap(({ partition, start }) => recordsOf(partition)[start] ?? [])),
    }
  }

  async #sendAll(batches: Batch[], recordsOf: (partition: number) => readonly LogRecord[]): Promise<void> {
    const { client, kafkaMetrics, topic, logger } = this.#options
    const deadline = performance.now() + GIVE_UP_MS
    let failures = 0
    for (let due = firstUnsent(batches); due.length > 0; due = firstUnsent(batches)) {
      const failure = await this.#sendOnce(due)
      if (due.some(({ isTooLarge }) => isTooLarge)) await this.#shrink(batches, recordsOf)
      if (failure === undefined) {
        failures = 0
        continue
      }
      if (!failure.canRetry || client.closed || performance.now() > deadline) throw failure
      const again = due.filter((batch) => !isSettled(batch) && !batch.isTooLarge)
      logger.debug(
        { topic, partitions: again.map(({ partition }) => partition), reason: failure.message },
        'sending the batch again',
      )
      kafkaMetrics.resent(topic, again.length)
      failures += 1
      await pause(backoffMs(BACKOFF.produce, failures))
      await client.refresh()
    }
  }

  /** The topic takes less than was known: what it refused goes in smaller batches, a record alone never. */
  async #shrink(batches: Batch[], recordsOf: (partition: number) => readonly LogRecord[]): Promise<void> {
    const { topic, logger, readMaxBatchBytes } = this.#options
    try {
      this.maxBatchBytes = await readMaxBatchBytes()
    } catch (error) {
      logger.debug({ topic, reason: toSluiceError(error).message }, 'the limit of the topic could not be read')
    }
    const isSplit = splitTooLarge(batches, recordsOf, this.#plan())
    logger.warn({ topic, maxBytes: this.maxBatchBytes, isSplit }, 'Kafka rejected a batch because of its size')
  }

  /** One request to each leader. Returns what kept some batch from being confirmed, the worst of it. */
  async #sendOnce(due: readonly Batch[]): Promise<SluiceError | undefined> {
    const { client, name } = this.#options
    const failures: SluiceError[] = []
    try {
      const leaders = await client.byLeader(name, due)
      await Promise.all(
        Array.from(leaders, async ([node, batches]) => {
          await this.#sendTo(node, batches, failures).catch((error: unknown) => failures.push(toSluiceError(error)))
        }),
      )
    } catch (error) {
      failures.push(toSluiceError(error, 'log_unavailable'))
    }
    if (due.every((batch) => isSettled(batch) || batch.isTooLarge)) return undefined
    // A batch without a result and without an error of its own: its leader is unknown, or the answer left it out.
    const silent = new SluiceError('log_unavailable', 'Kafka did not confirm every partition')
    return failures.find(({ canRetry }) => !canRetry) ?? failures[0] ?? silent
  }

  async #sendTo(node: number, batches: readonly Batch[], failures: SluiceError[]): Promise<void> {
    const { client, name, topic, kafkaMetrics } = this.#options
    const startedMs = performance.now()
    const results = await client.send(node, produceRequest(name, batches, ACKS_TIMEOUT_MS))
    const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0)
    kafkaMetrics.produced(topic, bytes, (performance.now() - startedMs) / 1000)
    for (const batch of batches) {
      const result = results.find(({ partition }) => partition === batch.partition)
      if (result?.code === KafkaCode.none && result.baseOffset >= 0) batch.baseOffset = result.baseOffset
      else if (result !== undefined && isTooLarge(result.code)) batch.isTooLarge = true
      else if (result !== undefined)
        failures.push(partitionError(result.code, `a batch for partition ${batch.partition}`))
    }
  }
}
