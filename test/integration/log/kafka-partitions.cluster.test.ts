import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import type { Facts } from '../../../shared/registry/facts-port.ts'
import { codeOf, keyIn, PARTITIONS, RAW, readAll, record, startConsumer, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka } from '../../contract/log-kafka-harness.ts'
import { MemoryFacts } from '../../fakes/memory-facts.ts'
import { forgetfulFacts } from '../../variants/forgetful-facts.ts'
import { kafkaMetric, NEXT_LOOK, useTopics } from './topic-tools.ts'

const { cluster, open, grow } = useTopics()

/** Half of the records by a process from before, half by one that starts behind the change and was told of it, too. */
async function keysInTwoPartitions(facts: Facts): Promise<string[]> {
  const prefix = newPrefix()
  const keys = Array.from({ length: 50 }, (_, n) => `acme/device-${n}`)
  const append = (log: TelemetryLog) =>
    log.append(
      RAW,
      keys.map((key) => record(key, key)),
    )
  await append(await open({ prefix, facts }))
  await grow(`${prefix}telemetry.raw`, 2 * PARTITIONS)
  await grow(`${prefix}telemetry.dead-letter`, 2 * PARTITIONS)
  const later = await open({ prefix, facts, partitions: 2 * PARTITIONS })
  await append(later)
  const partitions = Array.from({ length: later.partitions }, (_, partition) => partition)
  const found = await Promise.all(partitions.map(async (partition) => textsOf(await readAll(later, partition))))
  expect(found.flat()).toHaveLength(2 * keys.length)
  return keys.filter((key) => found.filter((texts) => texts.includes(key)).length > 1)
}

describe('partitions that somebody added', () => {
  it('hold no record of a device, whatever LOG_PARTITIONS says; without a note of the number they would', async () => {
    expect(await keysInTwoPartitions(new MemoryFacts())).toEqual([])
    expect(await keysInTwoPartitions(forgetfulFacts)).not.toEqual([])
  })

  it('leave a running log as it is: nothing is lost or reordered, and what others put there is told', async () => {
    const [prefix, metrics] = [newPrefix(), createMetrics({ defaults: false })]
    const topic = `${prefix}telemetry.raw`
    const log = await open({ prefix, facts: new MemoryFacts(), metrics })
    const consumer = await startConsumer(log)
    const stop = new AbortController()
    const sent: string[] = []
    const load = async (partition: number) => {
      const key = keyIn(log, partition)
      for (let n = 0; !stop.signal.aborted; n++) {
        await log.append(RAW, [record(key, `${key} ${n}`)])
        sent.push(`${key} ${n}`)
      }
    }
    onTestFinished(() => stop.abort())
    const loads = Array.from({ length: PARTITIONS }, (_, partition) => load(partition))
    await consumer.until(PARTITIONS)
    await grow(topic, 2 * PARTITIONS)
    await grow(`${prefix}telemetry.dead-letter`, 2 * PARTITIONS)
    const other = await openOnKafka(cluster.kafka, { prefix, partitions: 2 * PARTITIONS })
    await other.append(RAW, [record(keyIn(other, 2 * PARTITIONS - 1), 'of somebody else')])
    await other.close()
    await vi.waitUntil(async () => (await log.durability()).detail.includes('not used'), NEXT_LOOK)
    stop.abort()
    await Promise.all(loads)
    expect(await log.durability()).toMatchObject({
      ok: true,
      detail: expect.stringContaining(`3 partitions are not used; ${topic}: nobody reads the 1 records`) as string,
    })
    expect(await kafkaMetric(metrics, 'unused_partitions')).toBe(PARTITIONS)
    expect(await kafkaMetric(metrics, 'unread_records')).toBe(1)
    await consumer.until(sent.length)
    const read = textsOf(consumer.batches)
    for (const key of [0, 1, 2].map((partition) => keyIn(log, partition))) {
      const own = (texts: readonly string[]) => texts.filter((text) => text.startsWith(`${key} `))
      expect(own(read)).toEqual(own(sent))
    }
  })

  it('fewer than the log has stop the start', async () => {
    const prefix = newPrefix()
    await open({ prefix })
    expect(await codeOf(open({ prefix, partitions: 5 }))).toBe('log_partitions_changed')
    // Nobody knows which number the records were spread by.
    await grow(`${prefix}telemetry.raw`, 6)
    expect(await codeOf(open({ prefix, facts: new MemoryFacts() }))).toBe('log_partitions_changed')
  })
})
