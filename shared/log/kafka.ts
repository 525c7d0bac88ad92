import { setTimeout as sleep } from 'node:timers/promises'
import { SluiceError, toSluiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import { createLogMetrics } from './log-metrics.ts'
import { KafkaClient } from './kafka/client.ts'
import { createKafkaMetrics } from './kafka/kafka-metrics.ts'
import type { ClientOptions } from './kafka/kafkajs-internals.ts'
import { KafkaLog } from './kafka/log.ts'
import { ensureTopics, type TopicRetention, type TopicSpec, type TopicState } from './kafka/topics.ts'
import type { LogTopic, TelemetryLog } from './port.ts'

/** Nobody consumes dead letters, they are looked up: a month of them, and not the whole disk. */
const DEAD_LETTERS: TopicRetention = { ageMs: 30 * 24 * 60 * 60 * 1000, bytes: 256 * 1024 * 1024 }

const FIRST_PAUSE_MS = 250
const LAST_PAUSE_MS = 5_000

export interface KafkaLogOptions extends ClientOptions {
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
  /** Ends the waiting for a Kafka that cannot be reached; opening then rejects with `closed`. */
  readonly signal?: AbortSignal
  readonly logger: Logger
  readonly metrics: Metrics
}

/**
 * Opens the log on Kafka 3.0 or newer; topics that are missing are made. While Kafka cannot be reached it is tried again
 * for ever. Errors: `log_partitions_changed`, `setting_invalid` (topics that exist with other settings, or refused
 * credentials), `closed`.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<TelemetryLog> {
  const { partitions, replication, retention, prefix = '', logger } = options
  const specs: Record<LogTopic, TopicSpec> = {
    'telemetry.raw': { name: `${prefix}telemetry.raw`, partitions, replication, retention },
    'telemetry.dead-letter': {
      name: `${prefix}telemetry.dead-letter`,
      partitions,
      replication,
      retention: options.deadLetterRetention ?? DEAD_LETTERS,
    },
  }
  const kafkaMetrics = createKafkaMetrics(options.metrics)
  const inspect = () => ensureTopics(options, Object.values(specs), logger)
  const states = await untilReached(inspect, options)
  const newClient = () =>
    new KafkaClient(
      options,
      Object.values(specs).map(({ name }) => name),
      logger,
    )
  return new KafkaLog({
    partitions,
    prefix,
    names: {
      'telemetry.raw': specs['telemetry.raw'].name,
      'telemetry.dead-letter': specs['telemetry.dead-letter'].name,
    },
    states,
    inspect,
    newClient,
    logger,
    logMetrics: createLogMetrics(options.metrics),
    kafkaMetrics,
  })
}

async function untilReached(
  inspect: () => Promise<Map<string, TopicState>>,
  { brokers, signal, logger }: KafkaLogOptions,
): Promise<Map<string, TopicState>> {
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted === true) throw new SluiceError('closed', 'told to stop while waiting for Kafka')
    try {
      return await inspect()
    } catch (error) {
      const failure = toSluiceError(error, 'log_unavailable')
      if (!failure.canRetry) throw failure
      logger.warn({ brokers, attempt, reason: failure.message }, 'the log on Kafka is not ready yet; trying again')
      const waitMs = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 10))
      await sleep(waitMs * (0.5 + Math.random() / 2), undefined, signal === undefined ? {} : { signal }).catch(
        (interrupted: unknown) => {
          if (signal?.aborted !== true) throw interrupted
        },
      )
    }
  }
}
