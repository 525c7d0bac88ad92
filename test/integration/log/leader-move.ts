import { Kafka, logLevel, type Admin } from 'kafkajs'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import type { Kafka as Servers } from '../../../load-tests/servers/kafka.ts'

export interface MoveOptions {
  readonly log: TelemetryLog
  readonly servers: Servers
  readonly topic: string
  /** The broker that is killed while records are appended. */
  readonly victim: number
  readonly devices: number
  /** Records per append. */
  readonly batch: number
  /** Acknowledged appends before the broker is killed, and after its partitions have new leaders. */
  readonly appends: number
}

export interface MoveResult {
  readonly acknowledged: number
  readonly lost: string[]
  readonly duplicates: number
  /** Devices whose records' first copies are not in the order of their appends. */
  readonly disordered: string[]
  readonly failedAppends: number
  /** Longest append, ms: how long nothing was acknowledged. */
  readonly longestMs: number
  /** Of the appends before the kill. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU-seconds of this process per million acknowledged records, before the kill. */
  readonly cpuPerMillion: number
}

/**
 * Appends as the broker does, one at a time and the same records again after a failure; kills a broker in the middle of
 * it, goes on until the rest has taken over, starts it again, and compares the log with what was acknowledged.
 */
export async function moveLeaders(options: MoveOptions): Promise<MoveResult> {
  const { log, servers, victim, appends } = options
  const acknowledged: string[] = []
  const times: number[] = []
  let failedAppends = 0
  let sequence = 0
  const appendOne = async (): Promise<number> => {
    const records = recordsOf(options, sequence)
    sequence += records.length
    const startedMs = performance.now()
    for (;;) {
      try {
        await log.append('telemetry.raw', records)
        break
      } catch {
        failedAppends += 1
      }
    }
    acknowledged.push(...records.map(({ value }) => Buffer.from(value).toString()))
    const tookMs = performance.now() - startedMs
    times.push(tookMs)
    return tookMs
  }
  const cpu = process.cpuUsage()
  for (let i = 0; i < appends; i++) await appendOne()
  const { user, system } = process.cpuUsage(cpu)
  const sorted = times.toSorted((a, b) => a - b)
  const cpuPerMillion = (user + system) / acknowledged.length

  // Killed while one is on its way: it and those behind it meet the move.
  const killed = servers.processes[victim]?.stop('SIGKILL')
  for (let i = 0; i < appends; i++) await appendOne()
  await killed
  await servers.processes[victim]?.start()
  await untilInSync(options)
  const found = await contents(log)
  return {
    ...compare(acknowledged, found),
    acknowledged: acknowledged.length,
    failedAppends,
    longestMs: Math.max(...times),
    p50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? 0,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    cpuPerMillion,
  }
}

function recordsOf({ devices, batch }: MoveOptions, from: number): LogRecord[] {
  return Array.from({ length: batch }, (_, i) => {
    const n = from + i
    const key = `acme/device-${n % devices}`
    return {
      key,
      value: Buffer.from(`${key} ${n} {"temperature":21.5,"humidity":40.25,"ok":true,"battery":3.71}`),
      ms: Date.now(),
      ns: n % 1_000_000,
      headers: undefined,
    }
  })
}

/** Everything in the log, partition by partition, in order. */
async function contents(log: TelemetryLog): Promise<string[]> {
  const found: string[] = []
  for (let partition = 0; partition < log.partitions; partition++) {
    const options = {
      topic: 'telemetry.raw' as const,
      partition,
      from: { offset: 0 },
      maxRecords: 10_000,
      follow: false,
    }
    for await (const { records } of log.read({ ...options, signal: new AbortController().signal })) {
      for (const { value } of records) found.push(Buffer.from(value).toString())
    }
  }
  return found
}

function compare(acknowledged: readonly string[], found: readonly string[]) {
  const firsts = new Set(found)
  const lastOf = new Map<string, number>()
  const disordered = new Set<string>()
  for (const text of firsts) {
    const [key = '', n] = text.split(' ')
    if (Number(n) < (lastOf.get(key) ?? -1)) disordered.add(key)
    lastOf.set(key, Number(n))
  }
  return {
    lost: acknowledged.filter((text) => !firsts.has(text)),
    duplicates: found.length - firsts.size,
    disordered: [...disordered],
  }
}

export async function withAdmin<T>(servers: Servers, run: (admin: Admin) => Promise<T>): Promise<T> {
  const kafka = new Kafka({ clientId: 'test-admin', brokers: [...servers.brokers], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await run(admin)
  } finally {
    await admin.disconnect()
  }
}

/** Resolves when every replica of the topic is in sync again. */
export async function untilInSync({ servers, topic }: Pick<MoveOptions, 'servers' | 'topic'>): Promise<void> {
  await withAdmin(servers, async (admin) => {
    for (;;) {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const partitions = topics.flatMap((one) => one.partitions)
      if (partitions.every(({ isr, replicas }) => isr.length === replicas.length)) return
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  })
}
