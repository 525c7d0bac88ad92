import type { Admin } from 'kafkajs'
import { expect, onTestFinished, vi } from 'vitest'
import type { KafkaLogOptions } from '../../../shared/log/kafka/open.ts'
import { TOPIC_RESOURCE } from '../../../shared/log/kafka/topic-settings.ts'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { Metrics } from '../../../shared/process/metrics.ts'
import type { Kafka } from '../../../load-tests/servers/kafka.ts'
import { PARTITIONS, RAW } from '../../contract/log-harness.ts'
import { openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { PATIENCE } from '../../patience.ts'
import { withAdmin } from './leader-move.ts'

/** `ConfigSource.TOPIC_CONFIG`. */
const OF_THE_TOPIC = 1

/** Beyond the half minute between two looks at the topics, on a slow machine. */
export const NEXT_LOOK = { timeout: 150_000, interval: 500 }

/** As `kafka-configs --alter --add-config` does; resolves when the brokers know, and not only the controller. */
export async function alterTopic(kafka: Kafka, topic: string, settings: Record<string, string>): Promise<void> {
  const own = { ...(await settingsOfTopic(kafka, topic)), ...settings }
  const configEntries = Object.entries(own).map(([name, value]) => ({ name, value }))
  const resources = [{ type: TOPIC_RESOURCE, name: topic, configEntries }]
  await withAdmin(kafka, (admin) => admin.alterConfigs({ validateOnly: false, resources }))
  await vi.waitFor(async () => expect(await settingsOfTopic(kafka, topic)).toMatchObject(settings), PATIENCE)
}

/** As `kafka-topics --alter --partitions` does; resolves when the brokers know. */
export async function growTopic(kafka: Kafka, topic: string, count: number): Promise<void> {
  await withAdmin(kafka, async (admin) => {
    await admin.createPartitions({ topicPartitions: [{ topic, count }] })
    await vi.waitFor(async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      expect(topics[0]?.partitions).toHaveLength(count)
    }, PATIENCE)
  })
}

/** Those that were set for the topic itself. */
async function settingsOfTopic(kafka: Kafka, topic: string): Promise<Record<string, string>> {
  const resources = [{ type: TOPIC_RESOURCE, name: topic }]
  const described = await withAdmin(kafka, (admin) => admin.describeConfigs({ includeSynonyms: false, resources }))
  const entries = described.resources[0]?.configEntries ?? []
  // An older Kafka keeps those that it does not know, without a value.
  const set = entries.filter(({ configValue }) => (configValue as string | null) !== null)
  const own = set.filter(({ configSource }) => Number(configSource) === OF_THE_TOPIC)
  return Object.fromEntries(own.map(({ configName, configValue }) => [configName, configValue]))
}

/** A Kafka for all tests of a file, and what somebody does with its topics. */
export function useTopics(brokers: 1 | 3 = 1) {
  const cluster = useKafka(brokers)
  return {
    cluster,
    async open(options: Partial<KafkaLogOptions>): Promise<TelemetryLog> {
      const log = await openOnKafka(cluster.kafka, options)
      onTestFinished(() => log.close())
      return log
    },
    alter: (topic: string, settings: Record<string, string>) => alterTopic(cluster.kafka, topic, settings),
    settingsOf: (topic: string) => settingsOfTopic(cluster.kafka, topic),
    grow: (topic: string, count: number) => growTopic(cluster.kafka, topic, count),
    /** By somebody who knows nothing of Sluice. */
    makeTopics(prefix: string): Promise<boolean> {
      const topics = ['telemetry.raw', 'telemetry.dead-letter'].map((name) => {
        return { topic: prefix + name, numPartitions: PARTITIONS }
      })
      return withAdmin(cluster.kafka, (admin: Admin) => admin.createTopics({ topics }))
    },
  }
}

/** Of the topic of telemetry, where the metric has topics. */
export async function kafkaMetric(metrics: Metrics, name: string): Promise<number | undefined> {
  const metric = await metrics.getSingleMetric(`sluice_kafka_${name}`)?.get()
  return metric?.values.find(({ labels }) => labels['topic'] === undefined || labels['topic'] === RAW)?.value
}
