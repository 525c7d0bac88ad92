import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { Metrics } from '../../process/metrics.ts'
import { oncePer } from '../../process/once-per.ts'
import { ThreadClient, toError } from '../../process/thread-client.ts'
import { ANY_ROOM, noticing, type Room } from '../../storage/room.ts'
import type { LogRecord } from '../../telemetry.ts'
import { partitionOf } from '../partition.ts'
import type {
  ConsumeOptions,
  Durability,
  LogBatch,
  LogConsumer,
  LogTopic,
  PartitionLag,
  PartitionOffsets,
  ReadOptions,
} from '../port.ts'
import { Appender } from './appender.ts'
import { GroupConsumer } from './group-consumer.ts'
import { createLogMetrics, type LogMetrics } from '../log-metrics.ts'
import type { Calls, LogEvent, LogThread, Opened, Retention, ThreadOptions, TrimmedEvent } from './messages.ts'
import { PartitionReader } from './partition-reader.ts'
import { PartitionView } from './partition-view.ts'
import type { SqliteTelemetryLog } from './snapshot.ts'

/** Newest rows of a topic that stay in memory for readers right behind the appends: some seconds of heavy traffic. */
const TAIL_BYTES = 8 * 1024 * 1024

/** Nobody consumes dead letters, they are looked up: a month of them, and not the whole disk. */
const DEAD_LETTERS: Retention = { ageMs: 30 * 24 * 3_600_000, bytes: 256 * 1024 * 1024 }

export interface SqliteLogOptions {
  /** Made if missing, and locked while the log is open. */
  readonly folder: string
  /** Of each topic; fixed when the folder is made. Absent: what it was made with, one for a new folder. */
  readonly partitions?: number
  /** Of telemetry; without a bound it is kept for ever. */
  readonly retention: Partial<Retention>
  /** Of dead letters; 30 days and 256 MiB by default. */
  readonly deadLetterRetention?: Partial<Retention>
  readonly logger: Logger
  readonly metrics: Metrics
  /** Nothing is appended while there is none. */
  readonly room?: Room
}

/**
 * Opens the embedded log: a thread of its own owns the databases. Errors: `data_locked`, `data_unwritable`,
 * `data_newer`, `log_partitions_changed`, `setting_invalid`, `disk_full`, `log_corrupt`, `log_unavailable`.
 */
export async function openSqliteLog(options: SqliteLogOptions): Promise<SqliteTelemetryLog> {
  const { folder, retention, logger, room = ANY_ROOM } = options
  const toLogError = noticing(room, toError)
  const deadLetters = { ...DEAD_LETTERS, ...options.deadLetterRetention }
  const made: { log?: SqliteLog } = {}
  const mayTell = oncePer(60_000)
  const logMetrics = createLogMetrics(options.metrics)
  const workerData: ThreadOptions = {
    folder,
    partitions: options.partitions,
    retention: {
      'telemetry.raw': { ageMs: retention.ageMs, bytes: retention.bytes },
      'telemetry.dead-letter': deadLetters,
    },
  }
  const { client, opened } = await ThreadClient.start<Calls, Opened, LogEvent>({
    file: new URL('./thread.ts', import.meta.url),
    workerData,
    name: 'log',
    lostCode: 'log_unavailable',
    toError: toLogError,
    onEvent(event) {
      if (event.kind === 'trimmed') {
        logger.info({ file: event.file }, 'retention removed a file of the log')
        made.log?.trimmed(event)
        return
      }
      if (event.kind === 'damage') {
        logMetrics(event.topic).damaged()
        logger.error(
          { code: 'log_corrupt', detail: event.detail },
          'a part of the log is damaged; it is kept and skipped',
        )
        return
      }
      const error = toLogError(event.failure)
      // It comes back with every append while a disk is full: one line a minute is enough.
      if (!mayTell()) return
      logger.warn({ code: error.code, err: error }, 'an operation of the log failed and will be retried')
    },
    onLost(error) {
      logger.fatal({ code: error.code, err: error }, 'the log is unavailable until the process is restarted')
      made.log?.fail(error)
    },
  })
  made.log = new SqliteLog(client, opened, logMetrics, room)
  return made.log
}

interface Topic {
  readonly views: readonly PartitionView[]
  readonly appender: Appender
  readonly metrics: LogMetrics
}

class SqliteLog implements SqliteTelemetryLog {
  readonly partitions: number
  readonly #log: string
  readonly #client: LogThread
  readonly #topics: Readonly<Record<LogTopic, Topic>>
  readonly #consumers = new Map<string, GroupConsumer>()
  #closing: Promise<void> | undefined

  constructor(client: LogThread, opened: Opened, metrics: (topic: LogTopic) => LogMetrics, room: Room) {
    const { log, topics: summaries } = opened
    this.#client = client
    this.#log = log
    this.partitions = summaries['telemetry.raw'].partitions.length
    const topic = (name: LogTopic): Topic => {
      const { partitions, diskBytes } = summaries[name]
      const views = partitions.map((state) => new PartitionView(state, TAIL_BYTES / partitions.length))
      const own = metrics(name)
      own.diskBytes(diskBytes)
      return { views, metrics: own, appender: new Appender({ topic: name, views, client, metrics: own, room }) }
    }
    this.#topics = {
      'telemetry.raw': topic('telemetry.raw'),
      'telemetry.dead-letter': topic('telemetry.dead-letter'),
    }
  }

  partitionOf(key: string): number {
    return partitionOf(key, this.partitions)
  }

  readonly partitionsOf = (key: string): readonly number[] => [this.partitionOf(key)]
  readonly placesOf = this.partitionsOf

  async append(topic: LogTopic, records: readonly LogRecord[]): Promise<ReadonlyMap<number, number>> {
    this.#checkOpen()
    return this.#topics[topic].appender.append(records)
  }

  async consume(options: ConsumeOptions): Promise<LogConsumer> {
    this.#checkOpen()
    const { topic, group } = options
    const name = `${topic} ${group}`
    const registered = await this.#client.ask('register', { topic, group })
    this.#checkOpen()
    if (this.#consumers.has(name)) {
      throw new SluiceError('already_exists', `group ${group} already has a consumer of ${topic} in this process`)
    }
    const consumer = new GroupConsumer({
      ...options,
      client: this.#client,
      views: this.#topics[topic].views,
      log: this.#log,
      registered,
      onClosed: () => this.#consumers.delete(name),
    })
    this.#consumers.set(name, consumer)
    return consumer
  }

  read(options: ReadOptions): AsyncIterable<LogBatch> {
    const view = this.#viewOf(options.topic, options.partition)
    // The end is that of the call, not of the first step of whoever iterates.
    return this.#batches(options, view, view.end)
  }

  async offsets(topic: LogTopic): Promise<readonly PartitionOffsets[]> {
    this.#checkOpen()
    return this.#topics[topic].views.map(({ start, end, newest }, partition) => ({ partition, start, end, newest }))
  }

  async lag(topic: LogTopic, group: string): Promise<readonly PartitionLag[]> {
    this.#checkOpen()
    return this.#client.ask('lag', { topic, group })
  }

  snapshot(folder: string, what: 'positions' | 'records'): Promise<void> {
    return this.#client.ask('snapshot', { folder, what })
  }

  async durability(): Promise<Durability> {
    return { ok: true, detail: 'every append is synced to disk' }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  trimmed({ topic, starts, diskBytes }: TrimmedEvent): void {
    const { views, metrics } = this.#topics[topic]
    metrics.diskBytes(diskBytes)
    views.forEach((view, partition) => (view.start = starts[partition] ?? view.start))
  }

  /** Ends whoever reads with this error. */
  fail(error: SluiceError): void {
    for (const { views } of Object.values(this.#topics)) for (const view of views) view.fail(error)
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers.values()].map((consumer) => consumer.close()))
    this.fail(new SluiceError('closed', 'the log is closed'))
    await Promise.all(Object.values(this.#topics).map(({ appender }) => appender.drain()))
    await this.#client.close()
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new SluiceError('closed', 'the log is closed')
  }

  #viewOf(topic: LogTopic, partition: number): PartitionView {
    const view = this.#topics[topic].views[partition]
    if (view === undefined) throw new SluiceError('not_found', `${topic} has no partition ${partition}`)
    return view
  }

  async *#batches(options: ReadOptions, view: PartitionView, end: number): AsyncGenerator<LogBatch> {
    this.#checkOpen()
    const { topic, partition, maxRecords, follow, signal } = options
    const start = await this.#startOf(options, view, end)
    const reader = new PartitionReader(start, {
      client: this.#client,
      log: this.#log,
      view,
      topic,
      partition,
    })
    while (!signal.aborted && (follow || reader.position < end)) {
      const batch = await reader.next(follow ? maxRecords : Math.min(maxRecords, end - reader.position))
      if (signal.aborted) return
      if (batch !== undefined) yield batch
      else if (follow) await view.waitFor(reader.position, signal)
      else return
    }
  }

  async #startOf({ topic, partition, from }: ReadOptions, view: PartitionView, end: number): Promise<number> {
    if (from === 'end') return end
    if ('time' in from) return this.#client.ask('seek', { topic, partition, time: from.time })
    return Math.min(Math.max(from.offset, view.start), view.end)
  }
}
