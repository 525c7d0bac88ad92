import type { Admin, ConfigResourceTypes } from 'kafkajs'

export interface TopicRetention {
  /** Of a record since it was received; kept for ever when undefined. */
  readonly ageMs?: number | undefined
  /** Of the whole topic, replicas not counted. */
  readonly bytes?: number | undefined
}

/** One topic as it should be. */
export interface TopicSpec {
  readonly name: string
  /** That the log uses; the topic may have more. */
  readonly partitions: number
  readonly replication: 1 | 3
  readonly retention: TopicRetention
  /** Largest batch: what the topic is made with, and no larger one is sent. */
  readonly maxBatchBytes: number
}

export type TopicSettings = Readonly<Record<string, string>>

const MIN_SEGMENT_BYTES = 16 * 1024 * 1024
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024
const MIN_SEGMENT_MS = 60_000
const MAX_SEGMENT_MS = 7 * 24 * 60 * 60 * 1000
/** Retention removes whole segments: this many of them make the bound. */
const SEGMENTS = 8
/** `ConfigResourceTypes.TOPIC`, which an ES module cannot import from kafkajs by name: hence the cast. */
export const TOPIC_RESOURCE = 2 as ConfigResourceTypes
/** `ConfigSource.TOPIC_CONFIG`: what was set for the topic itself. */
const OF_THE_TOPIC = 1
const ANY_TIME = '9223372036854775807'

/** Of Kafka 3.6; before, any time is taken unless somebody set `message.timestamp.difference.max.ms`. */
export const NEWER_SETTINGS: readonly string[] = ['message.timestamp.before.max.ms', 'message.timestamp.after.max.ms']

/** Kafka bounds the bytes of each partition by itself. */
export function perPartition({ partitions, retention: { ageMs, bytes } }: TopicSpec): TopicRetention {
  return { ageMs, bytes: bytes === undefined ? undefined : Math.floor(bytes / partitions) }
}

/** What follows from the retention. */
export function retentionSettings(spec: TopicSpec): TopicSettings {
  const { ageMs, bytes } = perPartition(spec)
  return {
    'retention.ms': String(ageMs ?? -1),
    'retention.bytes': String(bytes ?? -1),
    'segment.bytes': String(clamp((bytes ?? Infinity) / SEGMENTS, MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)),
    'segment.ms': String(clamp((ageMs ?? Infinity) / SEGMENTS, MIN_SEGMENT_MS, MAX_SEGMENT_MS)),
  }
}

/** Everything that the topic is made with. */
export function settingsOf(spec: TopicSpec): TopicSettings {
  const { replication, maxBatchBytes } = spec
  return {
    'cleanup.policy': 'delete',
    ...retentionSettings(spec),
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

/** Gives a topic these settings and leaves the others as they are. Rejects with what kafkajs throws. */
export async function alterTopic(admin: Admin, name: string, settings: TopicSettings): Promise<void> {
  const resource = { type: TOPIC_RESOURCE, name }
  const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
  // A setting of the topic that is not named goes back to the default. One that this Kafka is too old for was taken without a
  // word when the topic was made, has no value, and is not taken again.
  const others = (resources[0]?.configEntries ?? [])
    .filter(({ configName, configSource }) => !(configName in settings) && Number(configSource) === OF_THE_TOPIC)
    .filter(({ configValue }) => (configValue as string | null) !== null)
    .map(({ configName, configValue }) => ({ name: configName, value: configValue }))
  const configEntries = [...others, ...toEntries(settings)]
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
}

export function toEntries(settings: TopicSettings): { name: string; value: string }[] {
  return Object.entries(settings).map(([name, value]) => ({ name, value }))
}

function clamp(value: number, least: number, most: number): number {
  return Math.floor(Math.min(most, Math.max(least, value)))
}
