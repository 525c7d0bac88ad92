import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { LogBatch, TelemetryLog } from '../../../shared/log/port.ts'
import { createMetrics, type Metrics } from '../../../shared/process/metrics.ts'
import { codeOf, keyIn, PARTITIONS, RAW, record, startConsumer, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { groupFromEnd } from '../../variants/group-from-end.ts'

const cluster = useKafka(1)

/** Requests that every consumer and producer sends. */
const TIMED = [
  ...['ApiVersions', 'Fetch', 'GroupCoordinator', 'JoinGroup', 'ListOffsets', 'Metadata'],
  ...['OffsetCommit', 'OffsetFetch', 'Produce', 'SyncGroup'],
]

async function open(prefix = newPrefix(), metrics?: Metrics): Promise<{ log: TelemetryLog; prefix: string }> {
  const log = await openOnKafka(cluster.kafka, { prefix, ...(metrics === undefined ? {} : { metrics }) })
  onTestFinished(() => log.close())
  return { log, prefix }
}

async function appendEach(log: TelemetryLog, text: string): Promise<void> {
  const keys = Array.from({ length: PARTITIONS }, (_, partition) => keyIn(log, partition))
  await log.append(
    RAW,
    keys.map((key) => record(key, `${text} ${key}`, Date.now())),
  )
}

/** As the broker does: the same records again after a failure. */
async function appendUntilDurable(log: TelemetryLog, text: string): Promise<void> {
  for (;;) {
    const code = await codeOf(log.append(RAW, [record(keyIn(log, 0), text)]))
    if (code === 'no error') return
    expect(code).toBe('log_unavailable')
  }
}

/** The names of requests that were timed, or failed. */
async function requestsOf(metrics: Metrics, which: 'request_seconds' | 'failed_requests_total') {
  const { values = [] } = (await metrics.getSingleMetric(`sluice_kafka_${which}`)?.get()) ?? {}
  return new Set(values.filter(({ value }) => value > 0).map(({ labels }) => labels['request']))
}

describe('Kafka that goes away', () => {
  it('is waited for: appends and consumers go on when it is back, and nothing acknowledged is lost', async () => {
    const metrics = createMetrics({ defaults: false })
    const { log } = await open(newPrefix(), metrics)
    const [broker] = cluster.kafka.processes
    const consumer = await startConsumer(log)
    await appendEach(log, 'before')
    await consumer.until(PARTITIONS)
    expect(await requestsOf(metrics, 'failed_requests_total')).not.toContain('Fetch')
    await broker?.stop('SIGKILL')
    const append = appendUntilDurable(log, 'meanwhile')
    await broker?.start()
    await append
    await appendEach(log, 'after')
    // What was read before may come again: counting records would not tell.
    const seen = () => new Set(textsOf(consumer.batches).filter((text) => !text.startsWith('before'))).size
    await vi.waitUntil(() => seen() === PARTITIONS + 1, { timeout: 60_000 })
    await consumer.commit([{ partition: 0, offset: 2 }])
    expect((await log.lag(RAW, 'worker'))[0]?.committed).toBe(2)
    expect(await requestsOf(metrics, 'failed_requests_total')).toContain('Fetch')
    expect([...(await requestsOf(metrics, 'request_seconds'))]).toEqual(expect.arrayContaining(TIMED))
  })

  it('at the start is waited for until told to stop', async () => {
    const [port] = await closedPort()
    const stop = new AbortController()
    const opening = codeOf(openOnKafka({ brokers: [`127.0.0.1:${port}`] }, { signal: stop.signal }))
    stop.abort()
    expect(await opening).toBe('closed')
  })

  it('is no reason to hang when the log is closed', async () => {
    const { log } = await open()
    await appendEach(log, 'before')
    const [broker] = cluster.kafka.processes
    const consumer = await startConsumer(log)
    await consumer.until(PARTITIONS)
    broker?.signal('SIGSTOP')
    try {
      const append = codeOf(log.append(RAW, [record(keyIn(log, 0), 'late')]))
      await log.close()
      expect(['closed', 'log_unavailable']).toContain(await append)
    } finally {
      broker?.signal('SIGCONT')
    }
  })
})

describe('two consumers of a group', () => {
  it('share the partitions, hand over what is not committed, and revoke what they lose', async () => {
    const { log, prefix } = await open()
    const other = (await open(prefix)).log
    const revoked: number[] = []
    const first = await startConsumer(log, { onRevoked: (partition) => revoked.push(partition) })
    await appendEach(log, 'one')
    await first.until(PARTITIONS)
    await first.commit([{ partition: 0, offset: 1 }])
    const second = await startConsumer(other)
    // Together they read again what was not committed, and what comes next is read by one of them.
    await appendEach(log, 'two')
    const seen = (): string[] => textsOf([...first.batches, ...second.batches])
    while (new Set(seen().filter((text) => text.startsWith('two'))).size < PARTITIONS) await nextRecord([first, second])
    expect(revoked.toSorted()).toEqual([0, 1, 2])
    const partitionsOf = (batches: readonly LogBatch[]) => new Set(batches.map(({ partition }) => partition))
    expect(partitionsOf(second.batches).size).toBeGreaterThan(0)
    expect(partitionsOf(second.batches).size).toBeLessThan(PARTITIONS)
    expect(textsOf(second.batches)).not.toContain(`one ${keyIn(log, 0)}`)
    await first.close()
    await appendEach(log, 'three')
    while (new Set(seen().filter((text) => text.startsWith('three'))).size < PARTITIONS) await nextRecord([second])
  })

  it('cannot move back what the other one has committed', async () => {
    const { log, prefix } = await open()
    const other = (await open(prefix)).log
    await appendEach(log, 'one')
    await appendEach(log, 'two')
    const first = await startConsumer(log)
    await first.until(2 * PARTITIONS)
    const second = await startConsumer(other)
    await second.until(1)
    const [batch] = second.batches
    const partition = batch?.partition ?? 0
    await second.commit([{ partition, offset: 2 }])
    await first.commit([{ partition, offset: 1 }])
    expect((await log.lag(RAW, 'worker'))[partition]?.committed).toBe(2)
  })

  async function nextRecord(consumers: readonly { until(count: number): Promise<void>; batches: LogBatch[] }[]) {
    const next = consumers.map(({ until, batches }) => until(1 + batches.flatMap(({ records }) => records).length))
    await Promise.race(next)
  }
})

describe('a new group', () => {
  it('reads what was acknowledged before it; the variant that begins at the end does not', async () => {
    const { log, prefix } = await open()
    await appendEach(log, 'early')
    const wrong = await startConsumer(groupFromEnd(log, { brokers: cluster.kafka.brokers, prefix }), { group: 'wrong' })
    const right = await startConsumer(log, { group: 'right' })
    await right.until(PARTITIONS)
    await appendEach(log, 'late')
    await Promise.all([right.until(2 * PARTITIONS), wrong.until(PARTITIONS)])
    expect(textsOf(right.batches).filter((text) => text.startsWith('early'))).toHaveLength(PARTITIONS)
    expect(textsOf(wrong.batches).filter((text) => text.startsWith('early'))).toEqual([])
  })
})

describe('the client under a new Node', () => {
  it('prints no warning about its timers', async () => {
    const warnings: string[] = []
    const note = (warning: Error): void => void warnings.push(warning.name)
    process.on('warning', note)
    onTestFinished(() => void process.off('warning', note))
    const { log } = await open()
    await appendEach(log, 'one')
    await log.offsets(RAW)
    expect(warnings).toEqual([])
  })
})

/** A port that nothing listens on. */
async function closedPort(): Promise<number[]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return [typeof address === 'object' && address !== null ? address.port : 0]
}
