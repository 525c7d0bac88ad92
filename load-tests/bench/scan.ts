/**
 * Scans of the embedded point store: an hour of so many series, one point a minute each, as points and as one window each, alone
 * and beside ingest of 10,000 points a second; and what the writes beside them wait until they are visible and synced, which is when
 * a worker commits. CPU is that of the process, with what is written meanwhile.
 *
 *     node load-tests/bench/scan.ts [series] [scans of each kind]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import type { PointScan, PointStore } from '../../shared/points/port.ts'
import { openSqlitePoints } from '../../shared/points/sqlite/open.ts'
import type { PointBatch, Series } from '../../shared/telemetry.ts'

const HOUR = 3_600_000
const MINUTE = 60_000
const DAY_POINTS = 24 * 60
const START = Date.UTC(2026, 0, 10)
const count = Number(process.argv[2] ?? 1000)
const rounds = Number(process.argv[3] ?? 20)
/** Written beside the scans, to series of their own: 10,000 points a second in batches of 500. */
const WRITE_POINTS = 500
const WRITE_EVERY_MS = 50

const seriesOf = (device: string): Series => ({
  tenant: 'demo',
  device,
  stream: 'telemetry',
  field: 'value',
  type: 'float',
})
const series = Array.from({ length: count }, (_, i) => seriesOf(`walker-${String(i).padStart(6, '0')}`))
const others = Array.from({ length: WRITE_POINTS }, (_, i) => seriesOf(`writer-${i}`))

function batchAt(all: readonly Series[], ms: number): PointBatch {
  const values = all.map(() => Math.round(Math.random() * 10_000) / 100)
  return { series: [...all], ms: all.map((_, i) => ms + (i % 977)), ns: all.map(() => 0), values }
}

async function open(folder: string, sealAfterMs: number) {
  const metrics = createMetrics({ defaults: false })
  const store = await openSqlitePoints({ folder, logger: createLogger('warn'), metrics, sealAfterMs })
  const unsealed = async () => (await metrics.getSingleMetric('sluice_points_raw_points')?.get())?.values[0]?.value ?? 0
  return { store, unsealed }
}

async function scanned(store: PointStore, scan: PointScan): Promise<number> {
  let points = 0
  for await (const item of store.scan(scan)) {
    if (item.kind === 'end' && item.by !== 'all') throw new Error(`a scan was ended by ${item.by}`)
    if (item.kind === 'batch') for (const { ms } of item.series) points += ms.length
  }
  return points
}

function row(times: number[]): string {
  times.sort((a, b) => a - b)
  const at = (share: number) => (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN).toFixed(1)
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (${times.length})`
}

async function scans(store: PointStore, scan: PointScan): Promise<string> {
  const times: number[] = []
  let points = 0
  const cpu = process.cpuUsage()
  const main = process.threadCpuUsage()
  for (let i = 0; i < rounds; i++) {
    const began = performance.now()
    points = await scanned(store, scan)
    times.push(performance.now() - began)
  }
  const ms = ({ user, system }: NodeJS.CpuUsage) => ((user + system) / 1000 / rounds).toFixed(0)
  const used = `CPU ${ms(process.cpuUsage(cpu))} ms each, of it ${ms(process.threadCpuUsage(main))} the caller's thread`
  return `${row(times)}, ${points} rows; ${used}`
}

/** Writes at a steady rate until it is stopped; resolves with how long each took until it was synced. */
function writing(store: PointStore): () => Promise<number[]> {
  let running = true
  const done = (async () => {
    const times: number[] = []
    for (let at = performance.now(), n = 0; running; n++) {
      const began = performance.now()
      await store.write(batchAt(others, START + 2 * 24 * HOUR + n * 1000))
      await store.sync()
      times.push(performance.now() - began)
      at += WRITE_EVERY_MS
      await sleep(Math.max(0, at - performance.now()))
    }
    return times
  })()
  return () => {
    running = false
    return done
  }
}

async function measure(state: string, store: PointStore): Promise<void> {
  const hour = { from: { ms: START + 12 * HOUR, ns: 0 }, to: { ms: START + 13 * HOUR, ns: 0 } }
  const budget = { series: 1e6, points: 1e9, bytes: 1e12, ms: 60_000 }
  const selector = { devices: series.map(({ device }) => device) }
  const points: PointScan = { tenant: 'demo', selector, ...hour, budget }
  const windows: PointScan = { ...points, stepMs: HOUR }
  const day: PointScan = { tenant: 'demo', selector, stepMs: 24 * HOUR, budget }
  await scanned(store, points)
  console.log(`\n${count} series x 1 h, ${state}`)
  console.log(`  points, alone         ${await scans(store, points)}`)
  console.log(`  windows, alone        ${await scans(store, windows)}`)
  console.log(`  windows of a day      ${await scans(store, day)}`)
  let stop = writing(store)
  await sleep(5000)
  console.log(`  writes, alone         ${row(await stop())}`)
  stop = writing(store)
  console.log(`  points, with ingest   ${await scans(store, points)}`)
  console.log(`  writes beside them    ${row(await stop())}`)
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-scan-'))
try {
  const { store } = await open(folder, 24 * HOUR)
  for (let minute = 0; minute < DAY_POINTS; minute++) await store.write(batchAt(series, START + minute * MINUTE))
  await store.sync()
  if (count * DAY_POINTS < 1_000_000) await measure('not sealed', store)
  await store.close()
  const sealing = await open(folder, 0)
  while ((await sealing.unsealed()) !== 0) await sleep(50)
  await sealing.store.close()
  const sealed = await open(folder, 24 * HOUR)
  await measure('sealed', sealed.store)
  await sealed.store.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
