import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { LogTail } from '../../../services/query-api/log-tail.ts'
import type { LogBatch } from '../../../shared/log/port.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { PARTITIONS, RAW, record } from '../../contract/log-harness.ts'
import { MemoryFacts } from '../../fakes/memory-facts.ts'
import { join, parsePartitioning } from '../../../shared/log/kafka/partitioning.ts'
import { partitioningFact } from '../../../shared/log/kafka/topic-notes.ts'
import { PATIENCE } from '../../patience.ts'
import { hastyFacts } from '../../variants/hasty-facts.ts'
import { RepartitionedLog } from './repartitioned-log.ts'
import { useTopics } from './topic-tools.ts'

const topics = useTopics()

/** Partitions are taken in under load, while consumers are behind; resolves when all is read. */
async function repartitioned(facts: MemoryFacts): Promise<RepartitionedLog> {
  const log = new RepartitionedLog(topics, facts)
  const [one, other] = [await log.open('broker/one'), await log.open('broker/other')]
  const readers = [await log.open('worker/one'), await log.open('worker/other')]
  await Promise.all(readers.map((reader) => log.consume(reader)))
  await log.load([one, other])
  await log.grow()
  await log.ask()
  await log.letRead()
  await log.settled()
  await vi.waitUntil(() => one.partitions === 2 * PARTITIONS && other.partitions === 2 * PARTITIONS, PATIENCE)
  await one.append(RAW, [record('acme/last', '0')])
  await log.finish()
  return log
}

describe('partitions that are taken in under load', () => {
  it('lose nothing and reorder nothing, and the new ones are used', { timeout: 120_000 }, async () => {
    const log = await repartitioned(new MemoryFacts())
    log.read.delete('acme/last')
    expect(log.read).toEqual(log.sent)
    const offsets = await (await log.open('later')).offsets(RAW)
    expect(offsets.map(({ end }) => end > 0)).toEqual(Array.from({ length: 2 * PARTITIONS }, () => true))
    expect((await log.now())?.to).toBe(2 * PARTITIONS)
    // What was taken of others goes on with the devices.
    expect([...log.notes].sort()).toEqual([
      [3, 'of 0'],
      [4, 'of 1'],
      [5, 'of 2'],
    ])
  })

  it('reorder where nobody waits for those who append, and for what is stored', { timeout: 120_000 }, async () => {
    const log = await repartitioned(hastyFacts())
    const isOrdered = (numbers: readonly number[]) => numbers.every((n, i) => i === 0 || n > (numbers[i - 1] ?? 0))
    expect([...log.read.values()].every(isOrdered)).toBe(false)
  })

  it('are given up for a process that does not answer, which delays nobody, and taken in without it', async () => {
    const facts = new MemoryFacts()
    const log = new RepartitionedLog(topics, facts)
    const one = await log.open('broker/one')
    await facts.change(partitioningFact(`${log.prefix}${RAW}`), (said = '', nowMs) => {
      const all = join(parsePartitioning(said), { name: 'broker/dead', instance: 'killed' }, nowMs)
      return { say: JSON.stringify(all), result: undefined }
    })
    await log.load([one])
    await log.grow()
    await log.ask()
    expect(await log.settled()).toMatchObject({
      ...{ from: PARTITIONS, to: PARTITIONS, reason: expect.stringContaining('not heard by broker/dead') as string },
    })
    await log.ask(['broker/dead'])
    // Nobody stores anything here: what is appended goes to all of them nevertheless.
    await vi.waitUntil(() => one.partitions === 2 * PARTITIONS, PATIENCE)
    await log.consume(one)
    await log.letRead()
    expect(await log.settled(2)).toMatchObject({ from: PARTITIONS, to: 2 * PARTITIONS })
    await log.finish()
    expect(log.read).toEqual(log.sent)
  })

  it('wait for a process that begins or ends in the middle no longer than it takes', async () => {
    const log = new RepartitionedLog(topics, new MemoryFacts())
    const [one, other] = [await log.open('broker/one'), await log.open('broker/other')]
    const watched = new Set<number>()
    const onBatch = async ({ partition }: LogBatch) => void watched.add(partition)
    const tail = await LogTail.start({ log: one, logger: createLogger('silent'), onBatch, onSkipped: () => {} })
    onTestFinished(() => tail.stop())
    await log.load([one])
    await log.grow()
    await log.ask()
    await other.close()
    const late = await log.open('broker/late')
    await log.consume(one)
    await log.letRead()
    const { members } = await log.settled()
    expect(Object.keys(members).sort()).toEqual(['broker/late', 'broker/one'])
    await vi.waitUntil(() => late.partitions === 2 * PARTITIONS, PATIENCE)
    await log.finish()
    // Who watches the log sees the new partitions, too.
    await vi.waitUntil(() => {
      tail.tick()
      return watched.size === 2 * PARTITIONS
    }, PATIENCE)
    expect(log.read).toEqual(log.sent)
  })
})
