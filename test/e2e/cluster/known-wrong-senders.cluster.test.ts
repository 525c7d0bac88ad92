import { setTimeout as delay } from 'node:timers/promises'
import type { Admin, PartitionMetadata } from 'kafkajs'
import { describe, it } from 'vitest'
import { withAdmin } from '../../integration/log/leader-move.ts'
import type { SendKind } from '../../../load-tests/reference/kafka-sends.ts'
import { expectKept, expectLoss, LIMIT_MS, runScenario, someTime, useServers, type Scenario } from './harness.ts'

const cluster = useServers(3)
const TOPIC = 'telemetry.raw'
const BROKERS = [1, 2, 3]
const MOVES = 6

/**
 * Leaders that move although no broker dies: the sender hears of it from the old one, which refuses its share of a request
 * after others have stored theirs. A killed broker makes the same moment, but not every time.
 */
const moved: Pick<Scenario, 'rate' | 'isLogDisturbed' | 'fault' | 'recovered'> = {
  ...{ rate: 1_500, isLogDisturbed: true },
  async fault(_cluster, random) {
    await withAdmin(cluster.servers.kafka, async (admin) => {
      for (let move = 0; move < MOVES; move += 1) {
        await someTime(random, 500)
        await moveLeadersFrom(admin, BROKERS[move % BROKERS.length] ?? 1)
      }
    })
  },
  // As it was made, or nobody would take it for the log of a cluster of three.
  async recovered() {
    await withAdmin(cluster.servers.kafka, async (admin) => {
      const partitionAssignment = (await partitionsOf(admin)).map(({ partitionId, replicas }) => ({
        partition: partitionId,
        replicas: [...new Set([...replicas, ...BROKERS])],
      }))
      await admin.alterPartitionReassignments({ topics: [{ topic: TOPIC, partitionAssignment }] })
      while ((await partitionsOf(admin)).some(({ isr }) => isr.length < BROKERS.length)) await delay(100)
    })
  },
}

describe('leaders that move under load', { timeout: LIMIT_MS }, () => {
  it.each<SendKind>(['unverified', 'idempotent'])(
    'lose what the %s send of kafkajs had said was stored',
    async (kind) => {
      const name = `${kind} send() while leaders move`
      const brokerCommand = ['test/variants/broker-with-kafkajs-sends.ts', kind]
      await expectLoss((seed) => runScenario(cluster, { ...moved, seed, name, patienceSeconds: 15, brokerCommand }))
    },
  )

  it('lose nothing of what the broker acknowledged', async () => {
    expectKept(await runScenario(cluster, { ...moved, seed: 1, name: 'leaders move' }))
  })
})

/** Takes every partition that the broker leads away from it, to the two others. */
async function moveLeadersFrom(admin: Admin, broker: number): Promise<void> {
  const led = async () => (await partitionsOf(admin)).filter(({ leader }) => leader === broker)
  const replicas = BROKERS.filter((other) => other !== broker)
  const partitionAssignment = (await led()).map(({ partitionId: partition }) => ({
    partition,
    replicas: partition % 2 === 0 ? replicas : replicas.toReversed(),
  }))
  if (partitionAssignment.length === 0) return
  await admin.alterPartitionReassignments({ topics: [{ topic: TOPIC, partitionAssignment }] })
  while ((await led()).length > 0) await delay(50)
}

async function partitionsOf(admin: Admin): Promise<PartitionMetadata[]> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [TOPIC] })
  return topics.flatMap(({ partitions }) => partitions)
}
