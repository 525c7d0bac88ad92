/**
 * The embedded log alone: records per second and CPU-seconds per million, by batch size, appended by one caller that
 * waits for each batch, then consumed by a group. `main us` is what an append costs the calling thread per record.
 *
 *     node load-tests/bench/log.ts [seconds per row]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteLog } from '../../shared/log/sqlite/open.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import type { LogRecord } from '../../shared/telemetry.ts'

const BATCH_SIZES = [1, 10, 100, 1000]
const PAYLOAD_BYTES = 120
const DEVICES = 1000
const seconds = Number(process.argv[2] ?? 2)

interface Row {
  readonly what: string
  readonly batch: number
  readonly 'records/s': number
  readonly 'CPU-s/M': number
  readonly 'main us/record': number
}

function recordsOf(count: number): LogRecord[] {
  const value = Buffer.alloc(PAYLOAD_BYTES, '{"temperature":21.5,"humidity":40.25,"ok":true}  ')
  return Array.from({ length: count }, (_, i) => {
    return { key: `demo/sensor-${i % DEVICES}`, value, ms: Date.now(), ns: i, headers: undefined }
  })
}

/** Runs `work` until it says how many records it did, and measures it. */
async function measure(what: string, batch: number, work: () => Promise<number>): Promise<Row> {
  const cpu = process.cpuUsage()
  const main = process.threadCpuUsage()
  const started = performance.now()
  const records = await work()
  const elapsed = (performance.now() - started) / 1000
  const used = process.cpuUsage(cpu)
  const usedByMain = process.threadCpuUsage(main)
  return {
    what,
    batch,
    'records/s': Math.round(records / elapsed),
    'CPU-s/M': Number(((used.user + used.system) / records).toFixed(2)),
    'main us/record': Number(((usedByMain.user + usedByMain.system) / records).toFixed(3)),
  }
}

async function append(log: TelemetryLog, batch: number): Promise<number> {
  const records = recordsOf(batch)
  const end = performance.now() + seconds * 1000
  let count = 0
  while (performance.now() < end) {
    await log.append('telemetry.raw', records)
    count += batch
  }
  return count
}

async function consume(log: TelemetryLog, group: string): Promise<number> {
  const [bounds] = await log.offsets('telemetry.raw')
  const done = Promise.withResolvers<void>()
  let count = 0
  const consumer = await log.consume({
    topic: 'telemetry.raw',
    group,
    maxRecords: 5000,
    onError: done.reject,
    async onBatch({ records, firstOffset }) {
      count += records.length
      if (firstOffset + records.length === bounds?.end) done.resolve()
    },
  })
  await done.promise
  await consumer.close()
  return count
}

const rows: Row[] = []
for (const batch of BATCH_SIZES) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const options = { folder: join(folder, 'log'), partitions: 1, retention: {}, logger: createLogger('warn') }
  const first = await openSqliteLog({ ...options, metrics: createMetrics({ defaults: false }) })
  rows.push(await measure('append', batch, () => append(first, batch)))
  await first.close()
  // Opened again, so that nothing is read from memory.
  const second = await openSqliteLog({ ...options, metrics: createMetrics({ defaults: false }) })
  rows.push(await measure('consume', batch, () => consume(second, 'bench')))
  await second.close()
  rmSync(folder, { recursive: true })
}
console.table(rows)
