/**
 * The embedded point store alone: points per second and CPU-seconds per million appended in batches of 5,000 by one
 * caller that waits for each batch, bytes per point once sealed (all files), and the latency of queries.
 *
 *     node load-tests/bench/points.ts [million points of the random walk]
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics, type Metrics } from '../../shared/process/metrics.ts'
import type { PointQuery, PointStore } from '../../shared/points/port.ts'
import { openSqlitePoints } from '../../shared/points/sqlite/open.ts'
import type { PointBatch, Series } from '../../shared/telemetry.ts'

const BATCH = 5_000
const HOUR = 3_600_000
const millions = Number(process.argv[2] ?? 5)

interface Shape {
  readonly name: string
  readonly points: number
  readonly series: readonly Series[]
  /** Batches in the order they would arrive: all series at one time, then the next time. */
  batches(): Generator<PointBatch>
  readonly lastMs: number
}

function seriesOf(device: string, field: string): Series {
  return { tenant: 'demo', device, stream: 'telemetry', field, type: 'float' }
}

/** The weather file as so many devices would send it: three fields, hourly, for a year. */
function weather(devices: number): Shape {
  const file = join(import.meta.dirname, '../data/seattle-weather-hourly.csv')
  const [head = '', ...lines] = readFileSync(file, 'utf8').trim().split('\n')
  const fields = head.split(',').slice(1)
  const rows = lines.map((line) => {
    const [date, ...values] = line.split(',')
    return { ms: Date.parse(`${date}Z`), values: values.map(Number) }
  })
  const byDevice = Array.from({ length: devices }, (_, i) => fields.map((field) => seriesOf(`station-${i}`, field)))
  function* points(): Generator<[Series, number, number]> {
    for (const { ms, values } of rows) {
      for (const series of byDevice) {
        for (const [i, one] of series.entries()) yield [one, ms, values[i] ?? 0]
      }
    }
  }
  return {
    name: `weather file, ${devices} device${devices > 1 ? 's' : ''}`,
    points: devices * rows.length * fields.length,
    series: byDevice.flat(),
    batches: () => inBatches(points()),
    lastMs: rows.at(-1)?.ms ?? 0,
  }
}

/** Random walks with two decimals, one point a minute and series, the devices not quite in step. */
function walks(count: number, points: number): Shape {
  const series = Array.from({ length: count }, (_, i) => seriesOf(`walker-${i}`, 'value'))
  const steps = Math.ceil(points / count)
  const start = Date.UTC(2026, 0, 1)
  function* walk(): Generator<[Series, number, number]> {
    const cents = new Float64Array(count).fill(2_000)
    for (let step = 0; step < steps; step++) {
      for (const [i, one] of series.entries()) {
        cents[i] = (cents[i] ?? 0) + Math.round((Math.random() - 0.5) * 100)
        yield [one, start + step * 60_000 + (i % 977), (cents[i] ?? 0) / 100]
      }
    }
  }
  const name = `random walks, ${count} series`
  return { name, points: steps * count, series, batches: () => inBatches(walk()), lastMs: start + steps * 60_000 }
}

function* inBatches(points: Iterable<[Series, number, number]>): Generator<PointBatch> {
  let batch: PointBatch = { series: [], ms: [], ns: [], values: [] }
  for (const [series, ms, value] of points) {
    batch.series.push(series)
    batch.ms.push(ms)
    batch.ns.push(0)
    batch.values.push(value)
    if (batch.series.length < BATCH) continue
    yield batch
    batch = { series: [], ms: [], ns: [], values: [] }
  }
  if (batch.series.length > 0) yield batch
}

async function value(metrics: Metrics, name: string): Promise<number> {
  return (await metrics.getSingleMetric(name)?.get())?.values[0]?.value ?? NaN
}

function sizeOf(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return files.reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0)
}

async function open(
  folder: string,
  options: { sealAfterMs?: number },
): Promise<{ store: PointStore; metrics: Metrics }> {
  const metrics = createMetrics({ defaults: false })
  return { metrics, store: await openSqlitePoints({ folder, logger: createLogger('warn'), metrics, ...options }) }
}

async function append(store: PointStore, shape: Shape): Promise<{ rate: number; cpu: number; main: number }> {
  // Making the points costs more than storing them: only the writes are on the clock.
  let elapsed = 0
  let used = 0
  let usedByMain = 0
  for (const batch of shape.batches()) {
    const cpu = process.cpuUsage()
    const main = process.threadCpuUsage()
    const began = performance.now()
    await store.write(batch)
    elapsed += performance.now() - began
    const [all, own] = [process.cpuUsage(cpu), process.threadCpuUsage(main)]
    used += all.user + all.system
    usedByMain += own.user + own.system
  }
  return { rate: shape.points / (elapsed / 1000), cpu: used / shape.points, main: usedByMain / shape.points }
}

async function latencies(store: PointStore, queries: readonly PointQuery[]): Promise<{ p50: string; p99: string }> {
  const times: number[] = []
  for (const query of queries) {
    const began = performance.now()
    await store.query(query)
    times.push(performance.now() - began)
  }
  times.sort((a, b) => a - b)
  const at = (share: number): string => `${(times[Math.floor(times.length * share)] ?? 0).toFixed(2)} ms`
  return { p50: at(0.5), p99: at(0.99) }
}

async function queryRow(store: PointStore, { series, lastMs }: Shape): Promise<Record<string, string>> {
  const some = Array.from({ length: 1000 }, (_, i) => series[(i * 7919) % series.length]).filter(
    (one) => one !== undefined,
  )
  const lastHour = some.map((one) => ({ ...one, from: { ms: lastMs - HOUR, ns: 0 }, limit: 10_000 }))
  const year = some.slice(0, 200).map((one) => ({ ...one, limit: 10_000, aggregate: { function: 'mean' as const } }))
  const days = year.map((query) => ({ ...query, aggregate: { ...query.aggregate, intervalMs: 24 * HOUR } }))
  const hour = await latencies(store, lastHour)
  const mean = await latencies(store, year)
  const daily = await latencies(store, days)
  return {
    'last hour': `${hour.p50} / ${hour.p99}`,
    'mean of all': `${mean.p50} / ${mean.p99}`,
    'daily means': `${daily.p50} / ${daily.p99}`,
  }
}

async function run(shape: Shape): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  try {
    const { store } = await open(folder, {})
    const { rate, cpu, main } = await append(store, shape)
    const fresh = await queryRow(store, shape)
    await store.close()
    const again = await open(folder, { sealAfterMs: 0 })
    while ((await value(again.metrics, 'sluice_points_raw_points')) !== 0) await sleep(50)
    const sealed = await queryRow(again.store, shape)
    await again.store.close()
    console.log(`\n${shape.name}, ${shape.points} points`)
    console.log(
      `  append ${Math.round(rate)} points/s, ${cpu.toFixed(2)} CPU-s/M, of it ${main.toFixed(2)} the caller's thread`,
    )
    console.log(`  sealed ${(sizeOf(folder) / shape.points).toFixed(2)} bytes/point, all files`)
    console.log('  queries of one series, p50 / p99')
    for (const [state, row] of Object.entries({ 'as written': fresh, sealed })) {
      console.log(
        `    ${state.padEnd(10)} ${Object.entries(row)
          .map(([what, time]) => `${what} ${time}`)
          .join('   ')}`,
      )
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

await run(weather(1))
await run(weather(Math.max(1, Math.round((millions * 1e6) / 26_280))))
await run(walks(100, millions * 1e6))
await run(walks(10_000, millions * 1e6))
