import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { generatedWorkload } from '../../services/simulator/workload.ts'
import { openKafkaLog } from '../../shared/log/kafka/open.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import type { Servers } from '../servers/all.ts'
import { CpuMeter } from './process-cpu.ts'
import { serverParts, sluiceParts, startSluice, stopSluice, type SluiceOptions } from './sluice-target.ts'
import type { StoredPoints } from './stored-points.ts'

export interface DrainResult {
  readonly workers: number
  /** Stored while it was measured: from all workers being ready to the last record. */
  readonly records: number
  readonly seconds: number
  readonly recordsPerSecond: number
  /** CPU-seconds per million records, by part. */
  readonly cpu: Readonly<Record<string, number>>
}

const DEVICES = 200
const APPEND_RECORDS = 1000
const APPENDS = 8
const PATIENCE_MS = 30_000
const ASK_EVERY_MS = 50

/**
 * Fills the log while no worker runs, then starts the workers and waits until they have stored and committed all of it.
 * Undefined when too little was left to measure once all were ready.
 */
export async function runDrain(
  options: Omit<SluiceOptions, 'profiles'> & { readonly stored: StoredPoints; readonly records: number },
): Promise<DrainResult | undefined> {
  const { servers, stored, workers, partitions, records } = options
  // Without workers: the broker makes the topics.
  const cluster = await startSluice({ ...options, workers: 0, profiles: undefined })
  const log = await openLog(servers, partitions)
  try {
    await fill(log, records)
    const before = await stored.count()
    await Promise.all(Array.from({ length: workers }, () => cluster.addWorker()))
    const meter = new CpuMeter({ ...sluiceParts(cluster), ...serverParts(servers) })
    const started = performance.now()
    const start = await stored.count()
    await stored.reach(before + records, PATIENCE_MS)
    // What was in hand while the group settled is stored twice: only the commits tell that nothing is left.
    const end = await lastStored(log, stored)
    const seconds = (end.atMs - started) / 1000
    const measured = end.count - start
    // While the second worker starts the first one works already.
    if (measured < records / 4) return undefined
    const cpu = Object.entries(meter.used()).map(([part, used]): [string, number] => [part, (used / measured) * 1e6])
    return {
      workers,
      records: measured,
      seconds,
      recordsPerSecond: measured / seconds,
      cpu: Object.fromEntries(cpu),
    }
  } finally {
    await log.close()
    await stopSluice(cluster)
  }
}

function openLog(servers: Servers, partitions: number): Promise<TelemetryLog> {
  return openKafkaLog({
    clientId: 'bench',
    brokers: servers.kafka.brokers,
    partitions,
    replication: 1,
    retention: { ageMs: 168 * 3_600_000 },
    ssl: false,
    logger: pino({ level: 'silent' }),
    metrics: createMetrics({ defaults: false }),
  })
}

/** Records as the broker makes them of PUBLISH packets. */
async function fill(log: TelemetryLog, records: number): Promise<void> {
  const workload = generatedWorkload({ seed: 1, startMs: Date.now() - 60_000, stepUs: 1 })
  let made = 0
  const batch = (): LogRecord[] =>
    Array.from({ length: Math.min(APPEND_RECORDS, records - made) }, () => {
      const device = made % DEVICES
      const value = Buffer.from(workload.payload(device, Math.floor(made / DEVICES)), 'latin1')
      made += 1
      return { key: `bench/drain-${device}`, value, ms: Date.now(), ns: 0, headers: undefined }
    })
  const appendAll = async () => {
    while (made < records) await log.append('telemetry.raw', batch())
  }
  await Promise.all(Array.from({ length: APPENDS }, appendAll))
}

/** The last count of what was stored, and when it was reached, once everything is committed. */
async function lastStored(log: TelemetryLog, stored: StoredPoints): Promise<{ count: number; atMs: number }> {
  let last = { count: await stored.count(), atMs: performance.now() }
  for (;;) {
    const lag = await log.lag('telemetry.raw', 'ingest-worker')
    const count = await stored.count()
    if (count > last.count) last = { count, atMs: performance.now() }
    if (lag.every(({ records }) => records === 0)) return last
    await delay(ASK_EVERY_MS)
  }
}
