import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { Facts } from '../../registry/facts-port.ts'
import type { ClientOptions } from './client-options.ts'
import { ask, parsePartitioning, type Partitioning } from './partitioning.ts'
import { partitioningFact } from './topic-notes.ts'
import { topicMissing } from './topic-state.ts'
import { describeTopic, withAdmin } from './topics.ts'

export interface RepartitionOptions extends ClientOptions {
  /** As of the log, see `TopicPlan`. */
  readonly prefix?: string
  readonly facts: Facts
  readonly logger: Logger
}

export interface RepartitionWish {
  /** Partitions from then on; all that the topic has unless given. */
  readonly to?: number | undefined
  /** See `Wish`. */
  readonly without?: readonly string[]
}

/**
 * Asks the processes of the log to spread its records over more partitions of its topic; they do it by themselves from then
 * on, see partitioning.ts. Where that is done, or under way, nothing is asked. Gives what is agreed then. Errors:
 * `log_repartition_refused`, `log_topic_missing`, `log_unavailable`, `log_refused`, those of the facts.
 */
export async function askRepartition(options: RepartitionOptions, wish: RepartitionWish): Promise<Partitioning> {
  const { prefix = '', facts, logger } = options
  const topic = `${prefix}telemetry.raw`
  const { found, letters } = await withAdmin(options, logger, async (admin) => ({
    found: (await describeTopic(admin, topic)).partitions,
    letters: (await describeTopic(admin, `${prefix}telemetry.dead-letter`)).partitions,
  }))
  if (found === 0) throw topicMissing(topic)
  const to = wish.to ?? found
  if (to > found) throw refused(`topic ${topic} has ${found} partitions: give it ${to} in Kafka first`)
  return facts.change(partitioningFact(topic), (said, nowMs) => {
    if (said === undefined) throw refused('no process of the log has been started by this version')
    const all = parsePartitioning(said)
    if (all.to === to) return { result: all }
    const { without = [] } = wish
    // Letters have no order: where their topic has fewer partitions, they stay in those that they are in.
    const asked = ask(all, { to, lettersTo: letters >= to ? to : all.lettersTo, without }, nowMs)
    return { say: JSON.stringify(asked), result: asked }
  })
}

/** What the processes agree on; undefined before the first one. Errors: those of the facts. */
export async function readPartitioning({ prefix = '', facts }: RepartitionOptions): Promise<Partitioning | undefined> {
  const text = await facts.get(partitioningFact(`${prefix}telemetry.raw`))
  return text === undefined ? undefined : parsePartitioning(text)
}

function refused(detail: string): SluiceError {
  return new SluiceError('log_repartition_refused', detail)
}
