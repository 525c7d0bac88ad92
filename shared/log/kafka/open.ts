import type { Admin } from 'kafkajs'
import type { Logger } from '../../process/logger.ts'
import type { Metrics } from '../../process/metrics.ts'
import { untilReached, type Waiting } from '../../process/wait-for-server.ts'
import { createLogMetrics } from '../log-metrics.ts'
import { KafkaClient } from './client.ts'
import { createKafkaMetrics } from './metrics.ts'
import type { ClientOptions } from './client-options.ts'
import { makeLetterRoom } from './letter-room.ts'
import { KafkaLog } from './log.ts'
import type { Compression } from './record-batch.ts'
import { settledAt } from './partitioning.ts'
import { PartitioningMember } from './partitioning-member.ts'
import { nodeName } from '../../process/node-name.ts'
import { agreedPartitions, applyChanged, notePartitions, partitioningFact } from './topic-notes.ts'
import { specsOf, type TopicPlan, type TopicSpecs } from './topic-plan.ts'
import type { TopicState } from './topic-state.ts'
import { inspectTopics, makeMissing, withAdmin } from './topics.ts'
import type { TelemetryLog } from '../port.ts'

/** Long behind every timeout of a request: what is silent for so long will not come back by itself. */
const SILENCE_MS = 60_000

export interface KafkaLogOptions extends ClientOptions, TopicPlan, Waiting {
  /** Whether topics are made and changed, or only looked at; they are unless given. */
  readonly managesTopics?: boolean
  /** What the group of the ingest workers is called in Kafka; its name behind the prefix by default. */
  readonly group?: string
  /** Of what is appended; `none` unless given. */
  readonly compression?: Compression
  /** A consumer that hears nothing from Kafka for so long ends, with `log_unavailable`; 60,000 unless given. */
  readonly silenceMs?: number
  /** Name of this process among those that append, the same after a restart; made up unless given. */
  readonly member?: string
  readonly logger: Logger
  readonly metrics: Metrics
}

/**
 * Opens the log on Kafka 3.0 or newer; topics that are missing are made. While Kafka cannot be reached, or refuses the
 * login or a topic, it is tried again for ever. A topic that is not as it should be is a state of the log (`durability`,
 * metrics) and no error. Errors: `log_partitions_changed`, `closed`, those of the facts.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<TelemetryLog> {
  const { prefix = '', logger, signal, onWaiting, managesTopics = true } = options
  const member = options.member ?? nodeName(options.clientId, { id: undefined, port: 0 })
  const { partitioning, specs, states } = await untilReached(() => prepareTopics({ ...options, member }), {
    ...{ what: 'the log on Kafka', signal, onWaiting, logger },
    alsoWaitFor: ['log_refused', 'log_topic_refused', 'log_topic_missing', 'registry_refused'],
  })
  const names = {
    'telemetry.raw': specs['telemetry.raw'].name,
    'telemetry.dead-letter': specs['telemetry.dead-letter'].name,
  }
  const change = <T>(use: (admin: Admin) => Promise<T>) => withAdmin(options, logger, use)
  const topics = { records: names['telemetry.raw'], letters: names['telemetry.dead-letter'] }
  if (managesTopics) await makeLetterRoom(topics, states, change, logger)
  const kafkaMetrics = createKafkaMetrics(options.metrics)
  return new KafkaLog({
    partitioning,
    groupName: (group) => options.group ?? prefix + group,
    silenceMs: options.silenceMs ?? SILENCE_MS,
    names,
    states,
    compression: options.compression ?? 'none',
    inspect: () =>
      withAdmin(options, logger, (admin) =>
        inspectTopics(admin, Object.values(specsOf(options, partitioning.now)), logger),
      ),
    newClient: () => new KafkaClient(options, Object.values(names), logger, kafkaMetrics.requested),
    logger,
    logMetrics: createLogMetrics(options.metrics),
    kafkaMetrics,
  })
}

async function prepareTopics(
  options: KafkaLogOptions & { readonly member: string },
): Promise<{ partitioning: PartitioningMember; specs: TopicSpecs; states: Map<string, TopicState> }> {
  const { partitions: wanted, prefix = '', facts, member, managesTopics = true, logger } = options
  return withAdmin(options, logger, async (admin) => {
    const about = { topic: `${prefix}telemetry.raw`, wanted, facts, managesTopics, logger }
    const agreed = await agreedPartitions(admin, about)
    const partitioning = new PartitioningMember({
      facts,
      fact: partitioningFact(about.topic),
      name: member,
      initial: settledAt(agreed, agreed),
      onSettled: (partitions) => notePartitions(about.topic, partitions, facts),
      logger,
    })
    await partitioning.refresh()
    const specs = specsOf(options, partitioning.now)
    const all = Object.values(specs)
    if (managesTopics) {
      await makeMissing(admin, all, logger)
      if (facts !== undefined) for (const spec of all) await applyChanged(admin, spec, facts, logger)
    }
    const states = await inspectTopics(admin, all, logger)
    // The last step: whoever is asked for later is a process that works.
    await partitioning.join()
    return { partitioning, specs, states }
  })
}
