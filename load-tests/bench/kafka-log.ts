/**
 * The log on a real Kafka broker, and kafkajs' own producer beside it in the same run: records per second, CPU-seconds of
 * this process per million, and the time of an append, by batches as the broker's forwarder makes them (one append in
 * flight); then a group that reads everything back.
 *
 *     node load-tests/bench/kafka-log.ts [seconds per row] [brokers: 1 or 3]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openKafkaLog } from '../../shared/log/kafka/open.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { startKafka } from '../servers/kafka.ts'
import { type SendKind, withKafkajsSends } from '../reference/kafka-sends.ts'

const BATCH_SIZES = [10, 100, 1000]
const PAYLOAD_BYTES = 120
const DEVICES = 1000
const PARTITIONS = 12
const seconds = Number(process.argv[2] ?? 2)
const count = process.argv[3] === '3' ? 3 : 1

interface Row {
  readonly what: string
  readonly batch: number
  readonly 'records/s': number
  readonly 'CPU-s/M': number
  readonly 'p50 ms': number | undefined
  readonly 'p99 ms': number | undefined
}

function recordsOf(size: number): LogRecord[] {
  const value = Buffer.alloc(PAYLOAD_BYTES, '{"temperature":21.5,"humidity":40.25,"ok":true}  ')
  return Array.from({ length: size }, (_, i) => {
    return { key: `demo/sensor-${i % DEVICES}`, value, ms: Date.now(), ns: i, headers: undefined }
  })
}

async function measure(
  what: string,
  batch: number,
  work: () => Promise<{ records: number; times: number[] }>,
): Promise<Row> {
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  const { records, times } = await work()
  const elapsed = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const sorted = times.toSorted((a, b) => a - b)
  const at = (part: number): number | undefined => {
    const time = sorted[Math.floor(sorted.length * part)]
    return time === undefined ? undefined : Number(time.toFixed(1))
  }
  return {
    what,
    batch,
    'records/s': Math.round(records / elapsed),
    'CPU-s/M': Number(((user + system) / records).toFixed(2)),
    'p50 ms': at(0.5),
    'p99 ms': at(0.99),
  }
}

async function append(log: TelemetryLog, batch: number): Promise<{ records: number; times: number[] }> {
  const records = recordsOf(batch)
  const end = performance.now() + seconds * 1000
  const times: number[] = []
  while (performance.now() < end) {
    const startedMs = performance.now()
    await log.append('telemetry.raw', records)
    times.push(performance.now() - startedMs)
  }
  return { records: times.length * batch, times }
}

async function consume(log: TelemetryLog): Promise<{ records: number; times: number[] }> {
  const total = (await log.offsets('telemetry.raw')).reduce((sum, { end }) => sum + end, 0)
  const done = Promise.withResolvers<void>()
  let records = 0
  const consumer = await log.consume({
    topic: 'telemetry.raw',
    group: 'bench',
    maxRecords: 5000,
    onError: done.reject,
    async onBatch(batch) {
      records += batch.records.length
      if (records === total) done.resolve()
    },
  })
  await done.promise
  await consumer.close()
  return { records, times: [] }
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
const kafka = await startKafka(folder, { brokers: count })
const rows: Row[] = []
const logger = createLogger('error')

async function open(prefix: string, compression: 'none' | 'zstd' = 'none'): Promise<TelemetryLog> {
  const replication = count === 3 ? 3 : 1
  const metrics = createMetrics({ defaults: false })
  const where = { brokers: kafka.brokers, clientId: 'bench', prefix, compression }
  return openKafkaLog({ ...where, partitions: PARTITIONS, replication, retention: {}, logger, metrics })
}

try {
  for (const batch of BATCH_SIZES) {
    const log = await open(`own-${batch}.`)
    await append(log, batch)
    rows.push(await measure('append', batch, () => append(log, batch)))
    if (batch === 1000) rows.push(await measure('consume', batch, () => consume(log)))
    await log.close()
    const packing = await open(`packed-${batch}.`, 'zstd')
    await append(packing, batch)
    rows.push(await measure('append, zstd', batch, () => append(packing, batch)))
    if (batch === 1000) rows.push(await measure('consume, zstd', batch, () => consume(packing)))
    await packing.close()
    for (const kind of ['verified', 'perPartition'] satisfies SendKind[]) {
      const prefix = `${kind}-${batch}.`
      const other = await open(prefix)
      const sends = await withKafkajsSends(other, { kind, brokers: kafka.brokers, prefix })
      await append(sends.log, batch)
      rows.push(await measure(`kafkajs, ${kind}`, batch, () => append(sends.log, batch)))
      await sends.close()
      await other.close()
    }
  }
  console.table(rows)
} finally {
  await kafka.stop()
  rmSync(folder, { recursive: true, force: true })
}
