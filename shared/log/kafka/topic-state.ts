import { SluiceError } from '../../errors.ts'
import type { Durability } from '../port.ts'
import { NEWER_SETTINGS, settingsOf, type TopicRetention, type TopicSpec } from './topic-settings.ts'

/** One topic as Kafka describes it. */
export interface FoundTopic {
  /** 0: there is none. */
  readonly partitions: number
  /** Of the partition that has the fewest. */
  readonly replication: number
  /** In the cluster. */
  readonly brokers: number
  /** What holds, whoever set it. */
  readonly settings: ReadonlyMap<string, string>
  /** Records in partitions that the log does not use; undefined where that is not known. */
  readonly unread: number | undefined
}

/** One topic as it is, held against how it should be. */
export interface TopicState {
  readonly maxBatchBytes: number
  readonly durability: Durability
  /** Of a partition, by which Kafka removes. */
  readonly retention: TopicRetention
  /** Settings that are others than Sluice's, and break no promise. */
  readonly differences: readonly string[]
  /** Partitions beyond those that the log uses, and the records in them. */
  readonly unused: number
  readonly unread: number | undefined
}

/** What an operator may have good reasons to set otherwise; the others make a topic unsafe, or are nobody's business. */
const COMPARED = ['retention.ms', 'retention.bytes', 'compression.type', ...NEWER_SETTINGS] as const

/**
 * Errors: `log_topic_missing`; `log_partitions_changed` for a topic with fewer partitions than the log has. Everything else
 * is a state, with which the log works on.
 */
export function stateOf(spec: TopicSpec, found: FoundTopic): TopicState {
  const { name, partitions } = spec
  if (found.partitions === 0) throw topicMissing(name)
  if (found.partitions < partitions) {
    const message = `topic ${name} has ${found.partitions} partitions, but the log has ${partitions}`
    throw new SluiceError('log_partitions_changed', message)
  }
  const { settings, unread } = found
  const limit = bound(settings, 'max.message.bytes') ?? spec.maxBatchBytes
  return {
    maxBatchBytes: Math.min(spec.maxBatchBytes, limit),
    durability: durabilityOf(spec, found),
    retention: { ageMs: bound(settings, 'retention.ms'), bytes: bound(settings, 'retention.bytes') },
    differences: differencesOf(spec, settings),
    unused: found.partitions - partitions,
    unread,
  }
}

export function topicMissing(name: string): SluiceError {
  return new SluiceError('log_topic_missing', `topic ${name} does not exist, or the login may not describe it`)
}

function bound(settings: ReadonlyMap<string, string>, name: string): number | undefined {
  const value = Number(settings.get(name) ?? -1)
  return value >= 0 ? value : undefined
}

function differencesOf(spec: TopicSpec, settings: ReadonlyMap<string, string>): string[] {
  const wanted = settingsOf(spec)
  return COMPARED.filter((key) => settings.has(key) && settings.get(key) !== wanted[key]).map(
    (key) => `${key} is ${settings.get(key)} instead of ${wanted[key]}`,
  )
}

/** Not ok: something that was acknowledged may be lost, or stored as something else. */
function durabilityOf(spec: TopicSpec, found: FoundTopic): Durability {
  const { name } = spec
  const { replication, brokers, settings } = found
  const faults: string[] = []
  const policy = settings.get('cleanup.policy') ?? 'delete'
  if (policy !== 'delete') faults.push(`cleanup.policy is ${policy} instead of delete: Kafka removes what was not read`)
  const times = settings.get('message.timestamp.type') ?? 'CreateTime'
  if (times !== 'CreateTime') faults.push(`message.timestamp.type is ${times}: receive times are replaced`)
  if (replication > 1 && settings.get('unclean.leader.election.enable') === 'true') {
    faults.push('unclean.leader.election.enable is true: a broker without the newest records may lead')
  }
  const minIsr = Number(settings.get('min.insync.replicas') ?? 1)
  const isFlushed = settings.get('flush.messages') === '1'
  const isReplicated = replication >= 3 && minIsr >= 2
  if (replication < spec.replication) faults.push(`replication is ${replication} instead of ${spec.replication}`)
  else if (!isReplicated && !(brokers === 1 && isFlushed)) {
    const flushed = `flush.messages ${isFlushed ? 1 : 'not 1'}`
    faults.push(`${brokers} brokers, ${replication} replicas, min.insync.replicas ${minIsr}, ${flushed}`)
  }
  if (faults.length > 0) {
    return { ok: false, detail: `${name}: an acknowledged record may be lost (${faults.join('; ')})` }
  }
  if (!isReplicated) return { ok: true, detail: `${name}: one broker that flushes every batch` }
  return { ok: true, detail: `${name}: ${replication} replicas, ${minIsr} of them in sync before an acknowledgement` }
}
