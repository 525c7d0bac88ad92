import type { Socket } from 'node:net'
import type { Admin, ConfigResourceTypes } from 'kafkajs'
import { SluiceError } from '../../errors.ts'
import { inTime, orLate } from '../../in-time.ts'
import type { Logger } from '../../process/logger.ts'
import type { Durability } from '../port.ts'
import { toLogError } from './kafka-error.ts'
import type { ClientOptions } from './client-options.ts'
import { createAdmin } from './kafkajs-internals.ts'

export interface TopicRetention {
  /** Of a record since it was received; kept for ever when undefined. */
  readonly ageMs?: number | undefined
  /** Of the whole topic, replicas not counted. */
  readonly bytes?: number | undefined
}

/** One topic as it should be. */
export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  readonly replication: 1 | 3
  readonly retention: TopicRetention
  /** Largest batch: what the topic is made with, and no larger one is sent. */
  readonly maxBatchBytes: number
}

/** One topic as it is. */
export interface TopicState {
  readonly maxBatchBytes: number
  readonly durability: Durability
}

const MIN_SEGMENT_BYTES = 16 * 1024 * 1024
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024
const MIN_SEGMENT_MS = 60_000
const MAX_SEGMENT_MS = 7 * 24 * 60 * 60 * 1000
/** Retention removes whole segments: this many of them make the bound. */
const SEGMENTS = 8
/** `ConfigResourceTypes.TOPIC`, which an ES module cannot import from kafkajs by name: hence the cast. */
export const TOPIC_RESOURCE = 2 as ConfigResourceTypes
/** Behind the timeouts of a handful of requests, of which a login has none. */
const ADMIN_LIMIT_MS = 60_000
const DISCONNECT_LIMIT_MS = 10_000
const ANY_TIME = '9223372036854775807'

/**
 * Makes the topics that are missing, compares those that are there, and says what an acknowledgement of each is worth.
 * Errors: `log_partitions_changed`; `setting_invalid`, with what differs; `log_unavailable`.
 */
export async function ensureTopics(
  client: ClientOptions,
  specs: readonly TopicSpec[],
  logger: Logger,
): Promise<Map<string, TopicState>> {
  return withAdmin(client, logger, async (admin) => {
    const existing = new Set(await admin.listTopics())
    for (const spec of specs.filter(({ name }) => !existing.has(name))) {
      const { name: topic, partitions: numPartitions, replication: replicationFactor } = spec
      const configEntries = Object.entries(settingsOf(spec)).map(([name, value]) => ({ name, value }))
      // Another node may make it at the same time: then it is compared like any other.
      const isMade = await admin.createTopics({
        topics: [{ topic, numPartitions, replicationFactor, configEntries }],
        timeout: 10_000,
      })
      if (isMade) logger.info({ topic, partitions: numPartitions, replication: replicationFactor }, 'topic created')
    }
    return inspect(admin, specs)
  })
}

/** Rejects with the error of Kafka as one of ours. */
export async function withAdmin<T>(
  client: ClientOptions,
  logger: Logger,
  use: (admin: Admin) => Promise<T>,
): Promise<T> {
  const sockets = new Set<Socket>()
  const admin = createAdmin(client, logger, sockets)
  const used = admin.connect().then(() => use(admin))
  try {
    return await inTime(used, ADMIN_LIMIT_MS, 'log_unavailable')
  } catch (error) {
    throw toLogError(error)
  } finally {
    // It waits for what is under way, which may be a login that is never answered.
    await orLate(admin.disconnect(), DISCONNECT_LIMIT_MS)
    // One that is left would keep the process for ever. Only an error makes kafkajs end the timer of a connection, too.
    for (const socket of sockets) socket.destroy(new SluiceError('closed', 'the topics were inspected'))
  }
}

/** Kafka bounds the bytes of each partition by itself. */
export function perPartition({ partitions, retention: { ageMs, bytes } }: TopicSpec): TopicRetention {
  return { ageMs, bytes: bytes === undefined ? undefined : Math.floor(bytes / partitions) }
}

function settingsOf(spec: TopicSpec): Record<string, string> {
  const { replication, maxBatchBytes } = spec
  const { ageMs, bytes } = perPartition(spec)
  return {
    'cleanup.policy': 'delete',
    'retention.ms': String(ageMs ?? -1),
    'retention.bytes': String(bytes ?? -1),
    'segment.bytes': String(clamp((bytes ?? Infinity) / SEGMENTS, MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)),
    'segment.ms': String(clamp((ageMs ?? Infinity) / SEGMENTS, MIN_SEGMENT_MS, MAX_SEGMENT_MS)),
    'min.insync.replicas': replication === 3 ? '2' : '1',
    'unclean.leader.election.enable': 'false',
    'max.message.bytes': String(maxBatchBytes),
    'compression.type': 'producer',
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.before.max.ms': ANY_TIME,
    'message.timestamp.after.max.ms': ANY_TIME,
    // The only copy has to be on the disk before it is acknowledged.
    ...(replication === 1 ? { 'flush.messages': '1' } : {}),
  }
}

/** What must be as it should be for the log to be one; the rest is what an operator may tune. */
const COMPARED = [
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'compression.type',
  'message.timestamp.type',
] as const

async function inspect(admin: Admin, specs: readonly TopicSpec[]): Promise<Map<string, TopicState>> {
  const names = specs.map(({ name }) => name)
  // One after the other: when the first failed, the others would connect again behind the disconnect.
  const { topics } = await admin.fetchTopicMetadata({ topics: names })
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: names.map((name) => ({ type: TOPIC_RESOURCE, name })),
  })
  const { brokers } = await admin.describeCluster()
  return new Map(
    specs.map((spec) => {
      const partitions = topics.find(({ name }) => name === spec.name)?.partitions ?? []
      const entries = resources.find(({ resourceName }) => resourceName === spec.name)?.configEntries ?? []
      const settings = new Map(entries.map(({ configName, configValue }) => [configName, configValue]))
      const replication = Math.min(...partitions.map(({ replicas }) => replicas.length))
      compare(spec, { partitions: partitions.length, replication, settings })
      const durability = durabilityOf(spec.name, { brokers: brokers.length, replication, settings })
      const limit = Number(settings.get('max.message.bytes') ?? spec.maxBatchBytes)
      const maxBatchBytes = Math.min(spec.maxBatchBytes, limit)
      return [spec.name, { durability, maxBatchBytes }]
    }),
  )
}

interface Found {
  readonly replication: number
  readonly settings: ReadonlyMap<string, string>
}

function compare(spec: TopicSpec, { partitions, replication, settings }: Found & { partitions: number }): void {
  const { name } = spec
  if (partitions !== spec.partitions) {
    const message = `topic ${name} has ${partitions} partitions, but LOG_PARTITIONS is ${spec.partitions}`
    throw new SluiceError('log_partitions_changed', message)
  }
  const wanted: Record<string, string> = settingsOf(spec)
  const differences = COMPARED.filter((key) => settings.get(key) !== wanted[key]).map(
    (key) => `${key} is ${settings.get(key)} instead of ${wanted[key]}`,
  )
  if (replication !== spec.replication) {
    differences.unshift(`replication is ${replication} instead of ${spec.replication}`)
  }
  if (differences.length === 0) return
  throw new SluiceError('setting_invalid', `topic ${name} exists with other settings: ${differences.join('; ')}`)
}

function durabilityOf(name: string, { brokers, replication, settings }: Found & { brokers: number }): Durability {
  const minIsr = Number(settings.get('min.insync.replicas') ?? 1)
  const isFlushed = settings.get('flush.messages') === '1'
  if (replication >= 3 && minIsr >= 2) {
    return { ok: true, detail: `${name}: ${replication} replicas, ${minIsr} of them in sync before an acknowledgement` }
  }
  if (brokers === 1 && isFlushed) return { ok: true, detail: `${name}: one broker that flushes every batch` }
  const facts = `${replication} replicas, min.insync.replicas ${minIsr}, flush.messages ${isFlushed ? 1 : 'not 1'}`
  return { ok: false, detail: `${name}: an acknowledged record may be lost (${brokers} brokers, ${facts})` }
}

function clamp(value: number, least: number, most: number): number {
  return Math.floor(Math.min(most, Math.max(least, value)))
}
