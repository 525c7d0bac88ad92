import { Kafka, logLevel } from 'kafkajs'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { withMethods } from '../../load-tests/reference/overriding.ts'

/**
 * Known-wrong: a group without a position begins at the end, as kafkajs does with its default `fromBeginning: false`. What
 * was acknowledged before the first commit is never read.
 */
export function groupFromEnd<L extends Pick<TelemetryLog, 'consume'>>(
  log: L,
  options: { brokers: readonly string[]; prefix: string },
): L {
  const { brokers, prefix } = options
  const kafka = new Kafka({ clientId: 'variant-from-end', brokers: [...brokers], logLevel: logLevel.NOTHING })
  const consume: TelemetryLog['consume'] = async (wanted) => {
    const admin = kafka.admin()
    await admin.connect()
    const groupId = prefix + wanted.group
    const topic = prefix + wanted.topic
    const known = await admin.fetchOffsets({ groupId, topics: [topic] })
    if (known.every(({ partitions }) => partitions.every(({ offset }) => offset === '-1'))) {
      const partitions = await admin.fetchTopicOffsets(topic)
      await admin.setOffsets({ groupId, topic, partitions })
    }
    await admin.disconnect()
    return log.consume(wanted)
  }
  return withMethods(log, { consume })
}
