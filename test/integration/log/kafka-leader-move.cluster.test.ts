import { describe, expect, it, onTestFinished } from 'vitest'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import { keyIn, readAll, record, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { type SendKind, withKafkajsSends } from '../../../load-tests/reference/kafka-sends.ts'
import { moveLeaders, withAdmin } from './leader-move.ts'

const cluster = useKafka(3)

describe('a leader that is killed under load', () => {
  it('costs no acknowledged record and no order, and acknowledgements go on by themselves', async () => {
    const prefix = newPrefix()
    const log = await openOnKafka(cluster.kafka, { prefix, partitions: 12 })
    onTestFinished(() => log.close())
    const topic = `${prefix}telemetry.raw`
    const load = { log, servers: cluster.kafka, topic, devices: 300, batch: 100, appends: 100 }
    const result = await moveLeaders({ ...load, victim: 0 })
    expect(result.acknowledged).toBe(20_000)
    expect(result.lost).toEqual([])
    expect(result.disordered).toEqual([])
  })
})

/**
 * The same moment without chance: a partition moves to another broker while the sender still believes in the old one, which
 * refuses its share of the next request after the other brokers have stored theirs.
 */
describe('a partition that moved since the last append', () => {
  it('is sent again by the log', async () => {
    const { log, prefix } = await openUnreplicated()
    expect(await appendAcrossMove(log, log, prefix)).toEqual(await everything(log))
  })

  it.each<SendKind>(['unverified', 'idempotent'])(
    'is lost by the %s variant, which this test must see',
    async (kind) => {
      const { log, prefix } = await openUnreplicated()
      const sends = await withKafkajsSends(log, { kind, brokers: cluster.kafka.brokers, prefix })
      onTestFinished(() => sends.close())
      expect(await appendAcrossMove(sends.log, log, prefix)).not.toEqual(await everything(log))
    },
  )

  async function openUnreplicated(): Promise<{ log: TelemetryLog; prefix: string }> {
    const prefix = newPrefix()
    const log = await openOnKafka(cluster.kafka, { prefix, replication: 1 })
    onTestFinished(() => log.close())
    return { log, prefix }
  }

  /** Appends before and after a move; what was acknowledged, sorted. */
  async function appendAcrossMove(sender: TelemetryLog, log: TelemetryLog, prefix: string): Promise<string[]> {
    const keys = [0, 1, 2].map((partition) => keyIn(log, partition))
    const acknowledged: string[] = []
    const append = async (round: string): Promise<void> => {
      const texts = keys.map((key) => `${round} ${key}`)
      await sender.append(
        'telemetry.raw',
        keys.map((key, i) => record(key, texts[i] ?? '')),
      )
      acknowledged.push(...texts)
    }
    await append('before')
    await movePartition(`${prefix}telemetry.raw`)
    await append('after')
    return acknowledged.toSorted()
  }

  async function everything(log: TelemetryLog): Promise<string[]> {
    const batches = await Promise.all([0, 1, 2].map((partition) => readAll(log, partition)))
    return textsOf(batches.flat()).toSorted()
  }
})

/** Moves partition 0 to the broker that leads partition 1. */
async function movePartition(topic: string): Promise<void> {
  await withAdmin(cluster.kafka, async (admin) => {
    const leaders = async (): Promise<Map<number, number>> => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      return new Map(topics.flatMap((one) => one.partitions).map(({ partitionId, leader }) => [partitionId, leader]))
    }
    const target = (await leaders()).get(1) ?? 0
    const partitionAssignment = [{ partition: 0, replicas: [target] }]
    await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] })
    while ((await leaders()).get(0) !== target) await new Promise((resolve) => setTimeout(resolve, 100))
  })
}
