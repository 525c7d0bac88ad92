import { expect, it, onTestFinished, vi } from 'vitest'
import { requireOfWorkers } from '../../../services/query-api/features.ts'
import { WORKER_FEATURES } from '../../../shared/features.ts'
import { KafkaClient } from '../../../shared/log/kafka/client.ts'
import { createEncoder } from '../../../shared/log/kafka/kafkajs-internals.ts'
import { openGroupOwners } from '../../../shared/log/kafka/group-owners.ts'
import { INGEST_GROUP } from '../../../shared/log/port.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { startConsumer } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { PATIENCE } from '../../patience.ts'

const cluster = useKafka(1)
const logger = createLogger('silent')

it('what every worker reads may be written: not while one of a version before lives, and again when it is gone', async () => {
  const { brokers } = cluster.kafka
  const prefix = newPrefix()
  const log = await openOnKafka(cluster.kafka, { prefix })
  onTestFinished(() => log.close())
  const owners = await openGroupOwners({ brokers, clientId: 'test', prefix, logger })
  onTestFinished(() => owners.close())
  const features = async () => (await owners.list()).map((one) => [...one.features].sort())
  const may = () => requireOfWorkers({ workers: () => owners.list() }, 'declared-types')
  await startConsumer(log, { group: INGEST_GROUP })
  const all = [...WORKER_FEATURES].sort()
  await vi.waitFor(async () => expect(await features()).toEqual([all]), PATIENCE)
  await may()
  const old = await joinAsOfBefore(brokers, `${prefix}ingest-worker`, `${prefix}telemetry.raw`)
  await vi.waitFor(async () => expect((await features()).sort()).toEqual([[], all]), PATIENCE)
  await expect(may()).rejects.toThrow(
    expect.objectContaining({
      code: 'feature_missing',
      message: expect.stringContaining('1 of 2 workers do not read declared-types') as string,
    }),
  )
  await old.leave()
  await vi.waitFor(async () => expect(await features()).toEqual([all]), PATIENCE)
  await may()
})

/** A member that says nothing of what it reads. */
async function joinAsOfBefore(brokers: readonly string[], groupId: string, topic: string) {
  const client = new KafkaClient({ brokers, clientId: 'old' }, [], logger)
  onTestFinished(() => client.close())
  const metadata = createEncoder().writeInt16(0).writeInt32(1).writeString(topic).writeBytes(Buffer.alloc(0)).buffer
  const memberId = await client.atCoordinator(groupId, async (broker) => {
    const join = (known: string) =>
      broker.joinGroup({
        groupId,
        sessionTimeout: 30_000,
        rebalanceTimeout: 30_000,
        memberId: known,
        groupProtocols: [{ name: 'sluice', metadata }],
      })
    const joined = await join('')
    const { memberId: id, generationId } = joined
    await broker.syncGroup({ groupId, generationId, memberId: id, groupAssignment: [] })
    return id
  })
  return { leave: () => client.atCoordinator(groupId, (broker) => broker.leaveGroup({ groupId, memberId })) }
}
