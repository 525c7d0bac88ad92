// Invariant: the number of partitions that records are spread over is what is noted, and never what the topic has, or what a
// setting says. Otherwise records of one device would lie in two partitions, and be stored in any order.
import { createHash } from 'node:crypto'
import type { Admin } from 'kafkajs'
import { SluiceError, toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { Facts } from '../../registry/facts-port.ts'
import { toLogError } from './kafka-error.ts'
import { alterTopic, retentionSettings, type TopicSpec } from './topic-settings.ts'
import { topicMissing } from './topic-state.ts'
import { describeTopic } from './topics.ts'

/** A topic's name has up to 249 characters, a fact's 64. */
function factName(what: string, topic: string): string {
  return `${what}/${createHash('sha256').update(topic).digest('base64url').slice(0, 24)}`
}

/** Name of the fact in which processes agree on partitions; see partitioning.ts. */
export function partitioningFact(topic: string): string {
  return factName('log_partitioning', topic)
}

/** For processes that start: the number that {@link agreedPartitions} gives them. */
export async function notePartitions(topic: string, partitions: number, facts: Facts | undefined): Promise<void> {
  const name = factName('log_partitions', topic)
  if (facts !== undefined && (await facts.get(name)) !== String(partitions)) await facts.put(name, String(partitions))
}

interface Agreement {
  readonly topic: string
  readonly wanted: number
  readonly facts: Facts | undefined
  /** Whether a topic that is missing will be made. */
  readonly managesTopics: boolean
  readonly logger: Logger
}

/**
 * How many partitions the log has: as many as were noted when its topic was first met. Without notes, or before, it is
 * `wanted`. Errors: `log_partitions_changed` for a topic that was never noted and has another number; `log_topic_missing`.
 */
export async function agreedPartitions(
  admin: Admin,
  { topic, wanted, facts, managesTopics, logger }: Agreement,
): Promise<number> {
  if (facts === undefined) return wanted
  const name = factName('log_partitions', topic)
  let noted = await facts.get(name)
  if (noted === undefined) {
    const { partitions: existing } = await describeTopic(admin, topic)
    if (existing === 0 && !managesTopics) throw topicMissing(topic)
    if (existing > 0 && existing !== wanted) {
      const message = `topic ${topic} has ${existing} partitions, but LOG_PARTITIONS is ${wanted}`
      throw new SluiceError('log_partitions_changed', message)
    }
    noted = await facts.keep(name, String(wanted))
  }
  const partitions = Number(noted)
  if (partitions !== wanted) {
    logger.warn({ topic, partitions, setting: wanted }, 'LOG_PARTITIONS counts only for a new log, and is not used')
  }
  return partitions
}

/**
 * Gives a topic the retention of the settings, once, when these are others than those that were noted: what somebody set in
 * Kafka meanwhile stays otherwise. Without the right to do that it is said. Error: those of the facts.
 */
export async function applyChanged(admin: Admin, spec: TopicSpec, facts: Facts, logger: Logger): Promise<void> {
  const { name, text } = retentionNote(spec)
  const noted = await facts.keep(name, text)
  if (noted === text) return
  const about = { topic: spec.name, from: noted, to: text }
  try {
    await alterTopic(admin, spec.name, retentionSettings(spec))
  } catch (error) {
    const { code, message } = toSluiceError(toLogError(error))
    logger.warn(
      { ...about, code, reason: message },
      'the new retention could not be given to the topic: run ./sluice log apply with a login that may alter it',
    )
    return
  }
  await facts.put(name, text)
  logger.info(about, 'the new retention was given to the topic')
}

/** The topic has the retention of the settings. */
export async function noteApplied(spec: TopicSpec, facts: Facts): Promise<void> {
  const { name, text } = retentionNote(spec)
  await facts.put(name, text)
}

function retentionNote(spec: TopicSpec): { readonly name: string; readonly text: string } {
  const wanted = retentionSettings(spec)
  const text = `${wanted['retention.ms']}/${wanted['retention.bytes']}`
  return { name: factName('log_retention', spec.name), text }
}
