import type { Admin } from 'kafkajs'
import type { Logger } from '../../process/logger.ts'
import type { Facts } from '../../registry/facts-port.ts'
import type { ClientOptions } from './client-options.ts'
import { specsOf, type TopicPlan } from './topic-plan.ts'
import { parsePartitioning, settledAt } from './partitioning.ts'
import { agreedPartitions, noteApplied, partitioningFact } from './topic-notes.ts'
import { alterTopic, settingsOf, type TopicSpec } from './topic-settings.ts'
import { topicMissing } from './topic-state.ts'
import { describeTopic, inspectTopics, withAdmin } from './topics.ts'

export interface SettingChange {
  readonly setting: string
  readonly from: string
  readonly to: string
}

export interface AppliedTopic {
  readonly topic: string
  readonly changes: readonly SettingChange[]
  /** What an acknowledgement is worth afterwards: what no setting mends, such as a replica that is missing, is still wrong. */
  readonly durability: { readonly ok: boolean; readonly detail: string }
}

/**
 * Gives the topics of the log the settings that Sluice makes them with, as far as they differ. Errors: `log_topic_missing`,
 * `log_partitions_changed`, `log_refused`, `log_topic_refused`, `log_unavailable`, those of the facts.
 */
export async function applyTopics(
  options: ClientOptions & TopicPlan & { readonly facts: Facts; readonly logger: Logger },
): Promise<AppliedTopic[]> {
  const { partitions: wanted, prefix = '', facts, logger } = options
  return withAdmin(options, logger, async (admin) => {
    const about = { topic: `${prefix}telemetry.raw`, wanted, facts, managesTopics: false, logger }
    const agreed = await agreedPartitions(admin, about)
    const text = await facts.get(partitioningFact(about.topic))
    const now = text === undefined ? settledAt(agreed, agreed) : parsePartitioning(text)
    const specs = Object.values(specsOf(options, now))
    const changes = new Map<string, SettingChange[]>()
    for (const spec of specs) {
      changes.set(spec.name, await apply(admin, spec))
      await noteApplied(spec, facts)
    }
    return Array.from(await inspectTopics(admin, specs, logger), ([topic, { durability }]) => {
      return { topic, changes: changes.get(topic) ?? [], durability }
    })
  })
}

async function apply(admin: Admin, spec: TopicSpec): Promise<SettingChange[]> {
  const { partitions, replication, settings } = await describeTopic(admin, spec.name)
  if (partitions === 0) throw topicMissing(spec.name)
  // Three copies that somebody made of a log of one are kept as three.
  const wanted = settingsOf({ ...spec, replication: replication >= 3 ? 3 : spec.replication })
  const changes = Object.entries(wanted).flatMap(([setting, to]): SettingChange[] => {
    const from = settings.get(setting)
    // One that this Kafka does not know.
    if (from === undefined || from === to) return []
    // Where more is as good, nobody's higher value is taken back.
    const most = { 'max.message.bytes': Infinity, 'min.insync.replicas': replication }[setting] ?? -1
    return Number(from) >= Number(to) && Number(from) <= most ? [] : [{ setting, from, to }]
  })
  if (changes.length > 0) {
    await alterTopic(admin, spec.name, Object.fromEntries(changes.map(({ setting, to }) => [setting, to])))
  }
  return changes
}
