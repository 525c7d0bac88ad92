import { describe, expect, it, onTestFinished } from 'vitest'
import type { SluiceError } from '../../../shared/errors.ts'
import { KafkaClient } from '../../../shared/log/kafka/client.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import type { Assignment, LogGap, TelemetryLog } from '../../../shared/log/port.ts'
import { keyIn, RAW, record, startConsumer, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { withAdmin } from './leader-move.ts'

const cluster = useKafka(1)

async function open(prefix: string): Promise<TelemetryLog> {
  const log = await openOnKafka(cluster.kafka, { prefix })
  onTestFinished(() => log.close())
  return log
}

async function append(log: TelemetryLog, count: number, text: string): Promise<void> {
  const key = keyIn(log, 0)
  await log.append(
    RAW,
    Array.from({ length: count }, (_, i) => record(key, `${text}${i}`)),
  )
}

const partition0 = (assigned: readonly Assignment[]): Assignment[] => assigned.filter((one) => one.partition === 0)

describe('a topic that was deleted and made again', () => {
  it.each([2, 20])('between two runs begins anew for a group, with %i new records', async (fresh) => {
    const prefix = newPrefix()
    const before = await open(prefix)
    await append(before, 10, 'old')
    const assigned: Assignment[] = []
    const first = await startConsumer(before, { onAssigned: (one) => assigned.push(one) })
    await first.until(10)
    await first.commit([{ partition: 0, offset: 7 }])
    const known = await committedText(prefix)
    await first.close()
    await before.close()
    await deleteTopic(prefix)
    const after = await open(prefix)
    await append(after, fresh, 'new')
    // Kafka forgets positions with the topic; a commit that was under way, or a copy that is restored, brings one back.
    await commitAs(prefix, known)
    const gaps: LogGap[] = []
    const second = await startConsumer(after, {
      onAssigned: (one) => assigned.push(one),
      onGap: (gap) => gaps.push(gap),
    })
    await second.until(fresh)
    expect(textsOf(second.batches)).toEqual(Array.from({ length: fresh }, (_, i) => `new${i}`))
    const [old, anew] = partition0(assigned)
    expect(anew).toMatchObject({ end: fresh, isNew: false })
    expect(anew?.log).not.toBe(old?.log)
    expect(second.batches.every(({ log }) => log === anew?.log)).toBe(true)
    expect(gaps).toMatchObject([{ reason: 'replaced', log: old?.log, partition: 0, from: 7, lost: 3, next: 0 }])
    await second.commit([{ partition: 0, offset: 1 }])
    expect((await after.lag(RAW, 'worker'))[0]).toMatchObject({ committed: 1, end: fresh })
  })

  it('is not read on from the old position by a consumer that was busy meanwhile', async () => {
    const prefix = newPrefix()
    const log = await open(prefix)
    await append(log, 3, 'old')
    const { promise: stopped, resolve: stop } = Promise.withResolvers<SluiceError>()
    const { promise: busy, resolve: begun } = Promise.withResolvers<void>()
    const hold = Promise.withResolvers<void>()
    const seen: string[] = []
    const consumer = await log.consume({
      topic: RAW,
      group: 'worker',
      maxRecords: 3,
      onError: stop,
      async onBatch({ records }) {
        seen.push(...records.map(({ value }) => Buffer.from(value).toString()))
        begun()
        await hold.promise
      },
    })
    onTestFinished(() => consumer.close())
    await busy
    await deleteTopic(prefix)
    const other = await open(prefix)
    await append(other, 6, 'new')
    hold.resolve()
    expect((await stopped).message).toMatch(/deleted and made again/)
    await consumer.close()
    const next = await startConsumer(log)
    await next.until(6)
    expect(seen).toEqual(['old0', 'old1', 'old2'])
    expect(textsOf(next.batches)).toEqual(Array.from({ length: 6 }, (_, i) => `new${i}`))
  })
})

async function deleteTopic(prefix: string): Promise<void> {
  await withAdmin(cluster.kafka, async (admin) => {
    await admin.deleteTopics({ topics: [`${prefix}telemetry.raw`] })
    while ((await admin.listTopics()).includes(`${prefix}telemetry.raw`)) await new Promise(setImmediate)
  })
}

async function committedText(prefix: string): Promise<{ partition: number; offset: string; metadata: string | null }> {
  return withAdmin(cluster.kafka, async (admin) => {
    const found = await admin.fetchOffsets({ groupId: `${prefix}worker`, topics: [`${prefix}telemetry.raw`] })
    const one = found[0]?.partitions.find(({ partition }) => partition === 0)
    if (one === undefined) throw new Error('nothing is committed')
    return one
  })
}

/** As a tool that copies positions, with what is noted beside them, between clusters does. */
async function commitAs(
  prefix: string,
  position: { partition: number; offset: string; metadata: string | null },
): Promise<void> {
  const topic = `${prefix}telemetry.raw`
  const client = new KafkaClient({ brokers: cluster.kafka.brokers, clientId: 'test' }, [topic], createLogger('silent'))
  const groupId = `${prefix}worker`
  const topics = [{ topic, partitions: [position] }]
  await client.atCoordinator(groupId, (broker) =>
    broker.offsetCommit({ groupId, groupGenerationId: -1, memberId: '', topics }),
  )
  await client.close()
}
