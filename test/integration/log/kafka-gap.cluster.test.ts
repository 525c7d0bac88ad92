import { describe, expect, it, onTestFinished } from 'vitest'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import { keyIn, RAW, readAll, record, startConsumer, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { withAdmin } from './leader-move.ts'

const cluster = useKafka(1)

async function open(prefix = newPrefix()): Promise<{ log: TelemetryLog; prefix: string }> {
  const log = await openOnKafka(cluster.kafka, { prefix })
  onTestFinished(() => log.close())
  return { log, prefix }
}

describe('an offset that is no longer there', () => {
  it('is told as a gap with the number of lost records, and reading goes on behind it', async () => {
    const { log, prefix } = await open()
    const key = keyIn(log, 0)
    for (let i = 0; i < 10; i++) await log.append(RAW, [record(key, String(i), 1_700_000_000_000 + i)])
    const first = await startConsumer(log)
    await first.until(10)
    await first.commit([{ partition: 0, offset: 2, ms: 1_700_000_000_001 }])
    await first.close()
    await deleteBefore(prefix, 7)
    const gaps: unknown[] = []
    const second = await startConsumer(log, { onGap: (gap) => gaps.push(gap) })
    await second.until(3)
    const times = { beforeMs: 1_700_000_000_001, behindMs: 1_700_000_000_007 }
    expect(gaps).toMatchObject([{ reason: 'retention', partition: 0, from: 2, lost: 5, next: 7, ...times }])
    expect(textsOf(second.batches)).toEqual(['7', '8', '9'])
    // What is gone is no lag: it would never be worked off.
    expect((await log.lag(RAW, 'worker'))[0]).toMatchObject({ committed: 2, end: 10, records: 3 })
    expect(textsOf(await readAll(log, 0))).toEqual(['7', '8', '9'])
  })

  it('is told too when it happens to a consumer that is running behind', async () => {
    const { log, prefix } = await open()
    const key = keyIn(log, 0)
    const value = 'x'.repeat(700_000)
    for (let i = 0; i < 8; i++) await log.append(RAW, [record(key, `${i}${value}`)])
    const held = Promise.withResolvers<void>()
    const gaps: { from: number; lost: number }[] = []
    const firsts: string[] = []
    const consumer = await log.consume({
      topic: RAW,
      group: 'worker',
      maxRecords: 1,
      onError: held.reject,
      onGap: (gap) => gaps.push(gap),
      async onBatch({ records }) {
        firsts.push(...records.map((one) => Buffer.from(one.value).toString('utf8', 0, 1)))
        if (firsts.length === 1) {
          await deleteBefore(prefix, 6)
        }
        if (firsts.at(-1) === '7') held.resolve()
      },
    })
    onTestFinished(() => consumer.close())
    await held.promise
    expect(gaps).toHaveLength(1)
    const lost = gaps[0]?.lost ?? 0
    expect(lost).toBeGreaterThan(0)
    expect(firsts.length + lost).toBe(8)
  })

  it('is foreseen: when retention reaches the oldest record that waits, by its age and by bytes', async () => {
    const bytes = 30_000_000
    const log = await openOnKafka(cluster.kafka, { prefix: newPrefix(), retention: { ageMs: 7_200_000, bytes } })
    onTestFinished(() => log.close())
    const ms = Date.now() - 1_800_000
    for (let i = 0; i < 10; i++) await log.append(RAW, [record(keyIn(log, 0), 'x'.repeat(900_000), ms)])
    const [waiting, idle] = await log.lag(RAW, 'worker')
    // 9 MB of the 10 MB that a partition may have, in half an hour; by age there would be an hour and a half left.
    expect(waiting?.horizon?.used).toBeCloseTo(0.9, 1)
    expect(waiting?.horizon?.seconds).toBeGreaterThan(60)
    expect(waiting?.horizon?.seconds).toBeLessThan(400)
    expect(idle?.horizon).toBeUndefined()
    const consumer = await startConsumer(log)
    await consumer.until(10)
    await consumer.commit([{ partition: 0, offset: 10 }])
    expect((await log.lag(RAW, 'worker'))[0]).toMatchObject({ records: 0, seconds: 0 })
  })

  async function deleteBefore(prefix: string, offset: number): Promise<void> {
    const topic = `${prefix}telemetry.raw`
    await withAdmin(cluster.kafka, async (admin) => {
      // kafkajs looks for the leader in metadata that only another question loads.
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] })
    })
  }
})
