import type { Socket } from 'node:net'
import type { Admin } from 'kafkajs'
import { SluiceError } from '../../errors.ts'
import { inTime, orLate } from '../../in-time.ts'
import type { Logger } from '../../process/logger.ts'
import { isCausedBy, toLogError } from './kafka-error.ts'
import type { ClientOptions } from './client-options.ts'
import { createAdmin } from './kafkajs-internals.ts'
import { NEWER_SETTINGS, settingsOf, toEntries, TOPIC_RESOURCE, type TopicSpec } from './topic-settings.ts'
import { stateOf, type FoundTopic, type TopicState } from './topic-state.ts'

/** Behind the timeouts of a handful of requests, of which a login has none. */
const ADMIN_LIMIT_MS = 60_000
const DISCONNECT_LIMIT_MS = 10_000
const CREATE_LIMIT_MS = 10_000

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

/** Makes the topics that are missing. Rejects with what kafkajs throws. */
export async function makeMissing(admin: Admin, specs: readonly TopicSpec[], logger: Logger): Promise<void> {
  const existing = new Set(await admin.listTopics())
  for (const spec of specs.filter(({ name }) => !existing.has(name))) {
    const { name: topic, partitions, replication } = spec
    // Another process may make it at the same time: then it is compared like any other.
    if (await create(admin, spec)) logger.info({ topic, partitions, replication }, 'topic created')
  }
}

async function create(admin: Admin, spec: TopicSpec): Promise<boolean> {
  const { name: topic, partitions: numPartitions, replication: replicationFactor } = spec
  const entries = toEntries(settingsOf(spec))
  const make = (configEntries: typeof entries) =>
    admin.createTopics({
      topics: [{ topic, numPartitions, replicationFactor, configEntries }],
      timeout: CREATE_LIMIT_MS,
    })
  try {
    return await make(entries)
  } catch (error) {
    if (!isCausedBy(error, 'INVALID_CONFIG')) throw error
    // A Kafka before 3.6 does not know these, and needs none of them.
    return make(entries.filter(({ name }) => !NEWER_SETTINGS.includes(name)))
  }
}

/** Says how each topic is. Errors: those of `stateOf`, and what kafkajs throws. */
export async function inspectTopics(
  admin: Admin,
  specs: readonly TopicSpec[],
  logger: Logger,
): Promise<Map<string, TopicState>> {
  const { brokers } = await admin.describeCluster()
  const states = new Map<string, TopicState>()
  const found = await describeTopics(
    admin,
    specs.map(({ name }) => name),
  )
  for (const spec of specs) {
    const { partitions, replication, settings } = found.get(spec.name) ?? NO_TOPIC
    const unread = partitions > spec.partitions ? await unreadIn(admin, spec, logger) : 0
    states.set(spec.name, stateOf(spec, { partitions, replication, settings, unread, brokers: brokers.length }))
  }
  return states
}

/** What Kafka describes of a topic. One without partitions is none. */
type Described = Pick<FoundTopic, 'partitions' | 'replication' | 'settings'>

const NO_TOPIC: Described = { partitions: 0, replication: 0, settings: new Map() }

/** Rejects with what kafkajs throws. */
export async function describeTopic(admin: Admin, name: string): Promise<Described> {
  return (await describeTopics(admin, [name])).get(name) ?? NO_TOPIC
}

/** Those that there are. One question after the other: when the first failed, the others would connect again. */
async function describeTopics(admin: Admin, names: readonly string[]): Promise<Map<string, Described>> {
  // Asked first: metadata of a topic that is missing is an error.
  const existing = new Set(await admin.listTopics())
  const present = names.filter((name) => existing.has(name))
  if (present.length === 0) return new Map()
  const { topics } = await admin.fetchTopicMetadata({ topics: present })
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: present.map((name) => ({ type: TOPIC_RESOURCE, name })),
  })
  return new Map(
    present.map((name): [string, Described] => {
      const partitions = topics.find((one) => one.name === name)?.partitions ?? []
      const entries = resources.find(({ resourceName }) => resourceName === name)?.configEntries ?? []
      const replication = Math.min(...partitions.map(({ replicas }) => replicas.length))
      // A setting that this Kafka is too old for was taken when the topic was made, and has no value.
      const known = entries.filter(({ configValue }) => (configValue as string | null) !== null)
      const settings = new Map(known.map(({ configName, configValue }) => [configName, configValue]))
      return [name, { partitions: partitions.length, replication, settings }]
    }),
  )
}

/** Records in partitions that the log does not use; undefined while Kafka does not tell, as right behind their making. */
async function unreadIn(admin: Admin, spec: TopicSpec, logger: Logger): Promise<number | undefined> {
  try {
    const offsets = await admin.fetchTopicOffsets(spec.name)
    const unused = offsets.filter(({ partition }) => partition >= spec.partitions)
    return unused.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0)
  } catch (error) {
    logger.debug({ err: error, topic: spec.name }, 'the ends of partitions that are not used are unknown')
    return undefined
  }
}
