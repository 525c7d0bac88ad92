import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { brokerProcessSettings } from '../../config/cluster.ts'
import { kafkaOptions } from '../../config/kafka.ts'
import { loadConfig } from '../../shared/config.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { withAdmin } from '../integration/log/leader-move.ts'
import { describeTelemetryLog } from './log-contract.ts'
import { keyIn, RAW, record, startConsumer, textsOf } from './log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from './log-kafka-harness.ts'

const cluster = useKafka(1)

describeTelemetryLog('Kafka', async () => {
  const prefix = newPrefix()
  return { open: () => openOnKafka(cluster.kafka, { prefix }) }
})

describeTelemetryLog('Kafka, packed with zstd', async () => {
  const prefix = newPrefix()
  return { open: () => openOnKafka(cluster.kafka, { prefix, compression: 'zstd' }) }
})

/** The log as a process opens it that has these settings, and nothing else of its own. */
async function openWith(variables: Record<string, string>): Promise<TelemetryLog> {
  const needed = { MARIADB_URL: 'mariadb://h/d', CREDENTIAL_KEY: 'x' }
  const { prefix, group } = kafkaOptions(loadConfig(brokerProcessSettings, { ...needed, ...variables }), 'test')
  const log = await openOnKafka(cluster.kafka, { prefix, ...(group === undefined ? {} : { group }) })
  onTestFinished(() => log.close())
  return log
}

/** Reads one record of partition 0, and commits it. */
async function readOne(log: TelemetryLog): Promise<string[]> {
  const consumer = await startConsumer(log)
  await consumer.until(1)
  await consumer.commit([{ partition: 0, offset: 1 }])
  return textsOf(consumer.batches)
}

describe('the names of a Kafka that others use, too', () => {
  it('two installations with prefixes of their own do not see each other', async () => {
    const [one, other] = [newPrefix(), newPrefix()]
    const first = await openWith({ KAFKA_TOPIC_PREFIX: one })
    const second = await openWith({ KAFKA_TOPIC_PREFIX: other })
    await first.append(RAW, [record(keyIn(first, 0), 'of the first')])
    await second.append(RAW, [record(keyIn(second, 0), 'of the second')])
    expect([await readOne(first), await readOne(second)]).toEqual([['of the first'], ['of the second']])
    const { groups, topics } = await withAdmin(cluster.kafka, async (admin) => ({
      topics: await admin.listTopics(),
      groups: (await admin.listGroups()).groups.map(({ groupId }) => groupId),
    }))
    for (const prefix of [one, other]) {
      expect(topics).toEqual(expect.arrayContaining([`${prefix}telemetry.raw`, `${prefix}telemetry.dead-letter`]))
      expect(groups).toContain(`${prefix}worker`)
    }
  })

  it('the group is called as it is told, and another one reads from the beginning', async () => {
    const [prefix, name] = [newPrefix(), `acme-${randomUUID()}`]
    const log = await openWith({ KAFKA_TOPIC_PREFIX: prefix, KAFKA_GROUP: name })
    await log.append(RAW, [record(keyIn(log, 0), 'once')])
    await readOne(log)
    expect((await log.lag(RAW, 'worker'))[0]).toMatchObject({ committed: 1, records: 0 })
    const described = await withAdmin(cluster.kafka, (admin) => admin.describeGroups([name]))
    expect(described.groups[0]?.members).toHaveLength(1)
    const renamed = await openWith({ KAFKA_TOPIC_PREFIX: prefix, KAFKA_GROUP: `${name}-2` })
    expect(await readOne(renamed)).toEqual(['once'])
  })

  it.each([
    ['KAFKA_TOPIC_PREFIX', 'a b'],
    ['KAFKA_TOPIC_PREFIX', 'x'.repeat(201)],
    ['KAFKA_GROUP', 'group/1'],
  ])('%s=%s is refused at the start', async (name, value) => {
    await expect(openWith({ [name]: value })).rejects.toThrow(name)
  })
})
