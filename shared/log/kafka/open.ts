import type { Admin } from 'kafkajs'
import { LETTER_ROOM_BYTES } from '../../dead-letter.ts'
import type { Logger } from '../../process/logger.ts'
import type { Metrics } from '../../process/metrics.ts'
import { untilReached, type Waiting } from '../../process/wait-for-server.ts'
import { createLogMetrics } from '../log-metrics.ts'
import { KafkaClient } from './client.ts'
import { createKafkaMetrics } from './metrics.ts'
import type { ClientOptions } from './client-options.ts'
import { makeLetterRoom } from './letter-room.ts'
import { KafkaLog } from './log.ts'
import { ensureTopics, perPartition, withAdmin, type TopicRetention, type TopicSpec } from './topics.ts'
import type { LogTopic, TelemetryLog } from '../port.ts'

/** Nobody consumes dead letters, they are looked up: a month of them, and not the whole disk. */
const DEAD_LETTERS: TopicRetention = { ageMs: 30 * 24 * 60 * 60 * 1000, bytes: 256 * 1024 * 1024 }

/** A record is at most 64 KiB, a batch of the broker 4 MiB before it is encoded. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024

/** Long behind every timeout of a request: what is silent for so long will not come back by itself. */
const SILENCE_MS = 60_000

export interface KafkaLogOptions extends ClientOptions, Waiting {
  /** Of each topic, when it is made; another number later is an error. */
  readonly partitions: number
  /** 3 with two of them in sync, or 1 with every batch flushed to the disk. */
  readonly replication: 1 | 3
  /** Of telemetry; without a bound it is kept for ever. */
  readonly retention: TopicRetention
  /** Of dead letters; 30 days and 256 MiB by default. */
  readonly deadLetterRetention?: TopicRetention
  /** Goes before the names of topics and groups, where several installations share a cluster. Empty by default. */
  readonly prefix?: string
  /** What the group of the ingest workers is called in Kafka; its name behind the prefix by default. */
  readonly group?: string
  /** A consumer that hears nothing from Kafka for so long ends, with `log_unavailable`; 60,000 unless given. */
  readonly silenceMs?: number
  readonly logger: Logger
  readonly metrics: Metrics
}

/**
 * Opens the log on Kafka 3.0 or newer; topics that are missing are made. While Kafka cannot be reached, or refuses the
 * login, it is tried again for ever. Errors: `log_partitions_changed`, `setting_invalid` (topics that exist with other
 * settings), `closed`.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<TelemetryLog> {
  const { partitions, replication, retention, prefix = '', logger } = options
  const specs: Record<LogTopic, TopicSpec> = {
    'telemetry.raw': {
      name: `${prefix}telemetry.raw`,
      partitions,
      replication,
      retention,
      maxBatchBytes: MAX_BATCH_BYTES,
    },
    'telemetry.dead-letter': {
      name: `${prefix}telemetry.dead-letter`,
      partitions,
      replication,
      retention: options.deadLetterRetention ?? DEAD_LETTERS,
      // A letter holds a whole record.
      maxBatchBytes: MAX_BATCH_BYTES + LETTER_ROOM_BYTES,
    },
  }
  const kafkaMetrics = createKafkaMetrics(options.metrics)
  const inspect = () => ensureTopics(options, Object.values(specs), logger)
  const { signal, onWaiting } = options
  const states = await untilReached(inspect, {
    ...{ what: 'the log on Kafka', signal, onWaiting, logger },
    alsoWaitFor: ['log_refused'],
  })
  const names = {
    'telemetry.raw': specs['telemetry.raw'].name,
    'telemetry.dead-letter': specs['telemetry.dead-letter'].name,
  }
  const change = <T>(use: (admin: Admin) => Promise<T>) => withAdmin(options, logger, use)
  await makeLetterRoom(
    { records: names['telemetry.raw'], letters: names['telemetry.dead-letter'] },
    states,
    change,
    logger,
  )
  const newClient = () =>
    new KafkaClient(
      options,
      Object.values(specs).map(({ name }) => name),
      logger,
    )
  return new KafkaLog({
    partitions,
    groupName: (group) => options.group ?? prefix + group,
    silenceMs: options.silenceMs ?? SILENCE_MS,
    names,
    retention: {
      'telemetry.raw': perPartition(specs['telemetry.raw']),
      'telemetry.dead-letter': perPartition(specs['telemetry.dead-letter']),
    },
    states,
    inspect,
    newClient,
    logger,
    logMetrics: createLogMetrics(options.metrics),
    kafkaMetrics,
  })
}
