import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { applyTopics } from '../../../shared/log/kafka/apply-topics.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { codeOf, keyIn, PARTITIONS, RAW, record } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka } from '../../contract/log-kafka-harness.ts'
import { MemoryFacts } from '../../fakes/memory-facts.ts'
import { PATIENCE } from '../../patience.ts'
import { kafkaMetric, NEXT_LOOK, useTopics } from './topic-tools.ts'

const { cluster, open, alter, settingsOf, makeTopics } = useTopics()
const HOUR_MS = 3_600_000

describe('a retention that somebody set in Kafka', () => {
  it('is a difference that is told, also at the next start, and stays', async () => {
    const [prefix, facts] = [newPrefix(), new MemoryFacts()]
    const topic = `${prefix}telemetry.raw`
    const same = { prefix, facts, retention: { ageMs: 24 * HOUR_MS } }
    await open(same)
    await alter(topic, { 'retention.ms': String(HOUR_MS) })
    const metrics = createMetrics({ defaults: false })
    const log = await open({ ...same, metrics })
    expect(await log.durability()).toMatchObject({
      ok: true,
      detail: expect.stringContaining(`${topic}: retention.ms is 3600000 instead of 86400000`) as string,
    })
    expect(await kafkaMetric(metrics, 'topic_differences')).toBe(1)
    expect(await settingsOf(topic)).toMatchObject({ 'retention.ms': String(HOUR_MS) })
    // By what Kafka will do, and not by the setting: half of the hour is over.
    await log.append(RAW, [record(keyIn(log, 0), 'old', Date.now() - HOUR_MS / 2)])
    // The first question about a group finds its coordinator still loading.
    const [lag] = await vi.waitFor(() => log.lag(RAW, 'worker'), PATIENCE)
    expect(lag?.horizon?.used).toBeGreaterThan(0.4)
  })
})

describe('a retention that is another setting now', () => {
  it('is given to the topic at the next start, once, and the rest of the topic stays as it is', async () => {
    const [prefix, facts] = [newPrefix(), new MemoryFacts()]
    const topic = `${prefix}telemetry.raw`
    const opened = (hours: number) => open({ prefix, facts, retention: { ageMs: hours * HOUR_MS } })
    await opened(24)
    await alter(topic, { 'compression.type': 'gzip' })
    await opened(48)
    expect(await settingsOf(topic)).toMatchObject({
      ...{ 'retention.ms': String(48 * HOUR_MS), 'segment.ms': String(6 * HOUR_MS) },
      ...{ 'compression.type': 'gzip', 'flush.messages': '1' },
    })
    await alter(topic, { 'retention.ms': String(HOUR_MS) })
    await opened(48)
    expect(await settingsOf(topic)).toMatchObject({ 'retention.ms': String(HOUR_MS) })
  })
})

describe('what breaks the promise', () => {
  it('is a state with a name while the log works on, and at the next start', async () => {
    const [prefix, facts, metrics] = [newPrefix(), new MemoryFacts(), createMetrics({ defaults: false })]
    const topic = `${prefix}telemetry.raw`
    const log = await open({ prefix, facts, metrics })
    expect(await log.durability()).toMatchObject({ ok: true })
    await alter(topic, { 'cleanup.policy': 'compact' })
    const named = {
      ok: false,
      detail: expect.stringMatching(/^log_not_durable: .*cleanup\.policy is compact instead of delete/) as string,
    }
    const next = await open({ prefix, facts })
    expect(await next.durability()).toMatchObject(named)
    await vi.waitUntil(async () => !(await log.durability()).ok, NEXT_LOOK)
    expect(await log.durability()).toMatchObject(named)
    expect(await kafkaMetric(metrics, 'topics_durable')).toBe(0)
    await log.append(RAW, [record(keyIn(log, 0), 'one')])
    await alter(topic, { 'cleanup.policy': 'delete', 'message.timestamp.type': 'LogAppendTime' })
    expect(await (await open({ prefix, facts })).durability()).toMatchObject({
      ok: false,
      detail: expect.stringContaining('message.timestamp.type is LogAppendTime') as string,
    })
  })

  it('a topic that others made without flushing', async () => {
    const prefix = newPrefix()
    await makeTopics(prefix)
    expect(await (await open({ prefix, facts: new MemoryFacts() })).durability()).toMatchObject({
      ok: false,
      detail: expect.stringContaining('flush.messages') as string,
    })
  })
})

describe('applying', () => {
  it('puts back what was changed, leaves the rest, and says what no setting mends', async () => {
    const [prefix, facts] = [newPrefix(), new MemoryFacts()]
    const topic = `${prefix}telemetry.raw`
    const { brokers } = cluster.kafka
    const plan = { brokers, prefix, facts, retention: { ageMs: 24 * HOUR_MS }, partitions: PARTITIONS }
    const surroundings = { clientId: 'test', logger: createLogger('silent') }
    const apply = (replication: 1 | 3) => applyTopics({ ...plan, ...surroundings, replication })
    expect(await codeOf(apply(1))).toBe('log_topic_missing')
    await open(plan)
    await alter(topic, {
      ...{ 'cleanup.policy': 'compact', 'retention.ms': '60000', 'flush.messages': '1000' },
      ...{ 'max.message.bytes': '9000000', 'file.delete.delay.ms': '1234' },
    })
    const [raw, letters] = await apply(1)
    expect(raw).toMatchObject({ topic, durability: { ok: true } })
    expect(raw?.changes.map(({ setting }) => setting).toSorted()).toEqual([
      ...['cleanup.policy', 'flush.messages', 'retention.ms'],
    ])
    expect(letters?.changes).toEqual([])
    expect(await settingsOf(topic)).toMatchObject({
      ...{ 'cleanup.policy': 'delete', 'retention.ms': String(24 * HOUR_MS), 'flush.messages': '1' },
      ...{ 'max.message.bytes': '9000000', 'file.delete.delay.ms': '1234' },
    })
    const [weak] = await apply(3)
    expect(weak?.durability).toMatchObject({
      ok: false,
      detail: expect.stringContaining('replication is 1 instead of 3') as string,
    })
  })
})

describe('topics that others make', () => {
  it('are waited for, and neither made nor changed', async () => {
    const [prefix, facts, stop] = [newPrefix(), new MemoryFacts(), new AbortController()]
    const waiting = Promise.withResolvers<string>()
    const opening = openOnKafka(cluster.kafka, {
      ...{ prefix, facts, managesTopics: false, signal: stop.signal, retention: { ageMs: HOUR_MS } },
      onWaiting: (reason) => reason !== undefined && waiting.resolve(reason.code),
    })
    expect(await waiting.promise).toBe('log_topic_missing')
    await makeTopics(prefix)
    const log = await opening
    onTestFinished(() => log.close())
    expect(await settingsOf(`${prefix}telemetry.raw`)).toEqual({})
    const next = await open({ prefix, facts, managesTopics: false, retention: { ageMs: 2 * HOUR_MS } })
    await next.append(RAW, [record(keyIn(next, 0), 'one')])
    expect(await settingsOf(`${prefix}telemetry.raw`)).toEqual({})
    expect(await settingsOf(`${prefix}telemetry.dead-letter`)).toEqual({})
  })
})
