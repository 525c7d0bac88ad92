import { setTimeout as sleep } from 'node:timers/promises'
import { SluiceError } from '../../errors.ts'
import type { LogRecord } from '../../telemetry.ts'
import type { LogMetrics } from '../log-metrics.ts'
import { partitionOf } from '../partition.ts'
import {
  INGEST_GROUP,
  type ConsumeOptions,
  type Durability,
  type LogBatch,
  type LogConsumer,
  type LogTopic,
  type PartitionLag,
  type PartitionOffsets,
  type ReadOptions,
  type Repartition,
  type TelemetryLog,
} from '../port.ts'
import type { KafkaClient } from './client.ts'
import { Feeds } from './feeds.ts'
import { GroupConsumer } from './group-consumer.ts'
import { appendedTo, changeIn, lettersIn, placedIn, unstoredIn } from './partitioning.ts'
import type { PartitioningMember } from './partitioning-member.ts'
import { Positions } from './positions.ts'
import { Producer } from './producer.ts'
import type { Compression } from './record-batch.ts'
import { Reading } from './reading.ts'
import { SharedAnswer } from './shared-answer.ts'
import { TopicWatch, type TopicWatchParts } from './topic-watch.ts'

/** A fetch of a follower may wait this long for a record; one that knows that there are more need not. */
const CONSUME_WAIT_MS = 100
const FOLLOW_WAIT_MS = 250
const SCAN_WAIT_MS = 5
/** Adds at most this to the time until a record can be queried; several appends go with one fetch. */
const READ_PACE_MS = 15
/** What was appended before closing has this long to become durable. */
const DRAIN_LIMIT_MS = 4_000
/** Kafka's own default, for a topic that does not say. */
const UNKNOWN_BATCH_BYTES = 1024 * 1024

export interface KafkaLogParts extends TopicWatchParts {
  /** Into how many partitions records go, as of each moment. Closed with the log. */
  readonly partitioning: PartitioningMember
  /** What a group is called in Kafka. */
  readonly groupName: (group: string) => string
  readonly silenceMs: number
  readonly compression: Compression
  readonly newClient: () => KafkaClient
  readonly logMetrics: (topic: LogTopic) => LogMetrics
}

/** A client and the partitions read over it. */
interface Source {
  readonly client: KafkaClient
  readonly feeds: Feeds
}

/**
 * The log on Kafka. Connections are apart by purpose, because a broker answers the requests of a connection one after the
 * other: producing, asking and scanning, following, and one set for each consumer.
 */
export class KafkaLog implements TelemetryLog {
  readonly #parts: KafkaLogParts
  readonly #producing: KafkaClient
  readonly #producers: Readonly<Record<LogTopic, Producer>>
  readonly #scanning: Source
  readonly #following: Source
  readonly #positions: Positions
  readonly #offsets: Readonly<Record<LogTopic, SharedAnswer<readonly PartitionOffsets[]>>>
  readonly #topics: TopicWatch
  readonly #consumers = new Set<GroupConsumer>()
  /** Readings whose first offset is not settled yet. */
  readonly #beginning = new Set<Reading>()
  #closing: Promise<void> | undefined

  constructor(parts: KafkaLogParts) {
    this.#parts = parts
    this.#topics = new TopicWatch(parts, (topic, { maxBatchBytes }) => {
      this.#producers[topic].maxBatchBytes = maxBatchBytes
    })
    this.#producing = parts.newClient()
    this.#scanning = this.#source(SCAN_WAIT_MS, 0)
    this.#following = this.#source(FOLLOW_WAIT_MS, READ_PACE_MS)
    this.#positions = new Positions(this.#scanning.client)
    this.#producers = {
      'telemetry.raw': this.#producer('telemetry.raw'),
      'telemetry.dead-letter': this.#producer('telemetry.dead-letter'),
    }
    const offsets = (topic: LogTopic) =>
      new SharedAnswer(() => this.#positions.offsets(parts.names[topic], this.#all(topic)))
    this.#offsets = {
      'telemetry.raw': offsets('telemetry.raw'),
      'telemetry.dead-letter': offsets('telemetry.dead-letter'),
    }
    const { partitioning, names, groupName } = parts
    const telemetry = names['telemetry.raw']
    partitioning.watch({
      bounds: (partitions) => this.#positions.bounds(telemetry, partitions),
      committed: (partitions) => this.#positions.committed(telemetry, groupName(INGEST_GROUP), partitions),
    })
  }

  get partitions(): number {
    return appendedTo(this.#parts.partitioning.now)
  }

  get repartition(): Repartition | undefined {
    return changeIn(this.#parts.partitioning.now)
  }

  partitionOf(key: string): number {
    return partitionOf(key, this.partitions)
  }

  partitionsOf(key: string): readonly number[] {
    return [...new Set(unstoredIn(this.#parts.partitioning.now).map((count) => partitionOf(key, count)))]
  }

  placesOf(key: string): readonly number[] {
    return [...new Set(placedIn(this.#parts.partitioning.now).map((count) => partitionOf(key, count)))]
  }

  async append(topic: LogTopic, records: readonly LogRecord[]): Promise<ReadonlyMap<number, number>> {
    this.#checkOpen()
    if (records.length === 0) return new Map()
    const appended = this.#producers[topic].append(records)
    for (const reading of this.#beginning) reading.note(topic, appended)
    return appended
  }

  async consume(options: ConsumeOptions): Promise<LogConsumer> {
    this.#checkOpen()
    const { groupName, names, silenceMs, logger, kafkaMetrics } = this.#parts
    const { client, feeds } = this.#source(CONSUME_WAIT_MS, READ_PACE_MS)
    const consumer: GroupConsumer = new GroupConsumer({
      ...options,
      topicName: names[options.topic],
      groupName: groupName(options.group),
      partitioning: this.#parts.partitioning,
      silenceMs,
      client,
      otherClient: this.#scanning.client,
      feeds,
      positions: new Positions(client),
      logger,
      metrics: kafkaMetrics,
      onClosed: () => this.#consumers.delete(consumer),
    })
    this.#consumers.add(consumer)
    try {
      await consumer.joined()
    } catch (error) {
      await consumer.close()
      throw error
    }
    return consumer
  }

  read(options: ReadOptions): AsyncIterable<LogBatch> {
    const { topic, partition, follow } = options
    if (partition < 0 || partition >= this.#count(topic)) {
      throw new SluiceError('not_found', `${topic} has no partition ${partition}`)
    }
    const reading = new Reading(options, this.#parts.names[topic], this.#positions)
    // The beginning and the end are those of the call, not of the first step of whoever iterates.
    if (this.#closing === undefined) {
      this.#beginning.add(reading)
      void reading.begin().finally(() => this.#beginning.delete(reading))
    }
    return this.#batches(reading, follow ? this.#following : this.#scanning)
  }

  async offsets(topic: LogTopic): Promise<readonly PartitionOffsets[]> {
    this.#checkOpen()
    return this.#offsets[topic].ask()
  }

  async lag(topic: LogTopic, group: string): Promise<readonly PartitionLag[]> {
    this.#checkOpen()
    const { names, groupName } = this.#parts
    // That of the topic, whoever set it: by it Kafka removes.
    const retention = this.#topics.state(topic)?.retention ?? {}
    return this.#positions.lag(names[topic], groupName(group), this.#all(topic), retention)
  }

  async durability(): Promise<Durability> {
    this.#checkOpen()
    return this.#topics.durability()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const drained = Promise.all(Object.values(this.#producers).map((producer) => producer.drain()))
    const drainedOrLate = Promise.race([drained, sleep(DRAIN_LIMIT_MS, undefined, { ref: false })])
    await Promise.all([drainedOrLate, ...[...this.#consumers].map((consumer) => consumer.close())])
    await this.#parts.partitioning.close()
    const readers = [this.#scanning, this.#following].map(async ({ client, feeds }) => {
      const ending = feeds.close()
      await client.close()
      await ending
    })
    await Promise.all([this.#producing.close(), ...readers])
    await drained
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new SluiceError('closed', 'the log is closed')
  }

  #source(maxWaitMs: number, paceMs: number): Source {
    const { newClient, logger, kafkaMetrics } = this.#parts
    const client = newClient()
    return { client, feeds: new Feeds({ client, maxWaitMs, paceMs, logger, metrics: kafkaMetrics }) }
  }

  #count(topic: LogTopic): number {
    return topic === 'telemetry.raw' ? this.partitions : lettersIn(this.#parts.partitioning.now)
  }

  #all(topic: LogTopic): number[] {
    return Array.from({ length: this.#count(topic) }, (_, partition) => partition)
  }

  #producer(topic: LogTopic): Producer {
    const { names, states, partitioning, compression, logger, logMetrics, kafkaMetrics } = this.#parts
    const name = names[topic]
    return new Producer({
      topic,
      name,
      spread: topic === 'telemetry.raw' ? partitioning : { enter: async () => this.#count(topic), left: () => {} },
      maxBatchBytes: states.get(name)?.maxBatchBytes ?? UNKNOWN_BATCH_BYTES,
      readMaxBatchBytes: async () => (await this.#parts.inspect()).get(name)?.maxBatchBytes ?? UNKNOWN_BATCH_BYTES,
      compression,
      client: this.#producing,
      logger,
      metrics: logMetrics(topic),
      kafkaMetrics,
    })
  }

  async *#batches(reading: Reading, { feeds }: Source): AsyncGenerator<LogBatch> {
    this.#checkOpen()
    yield* reading.batches(feeds)
  }
}
