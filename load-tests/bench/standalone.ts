/**
 * One process from PUBLISH to stored: durable QoS 1 messages per second until the last point is in the store, and
 * CPU-seconds of the server per million, by devices and messages in flight. The load runs in this process, beside it.
 *
 *     node load-tests/bench/standalone.ts [seconds per row] [--cpu-prof]
 *
 * With --cpu-prof the server writes one profile per thread and row into the current folder.
 */
import { readFileSync } from 'node:fs'
import type { ApiClient } from '../../shared/api-client.ts'
import { registerFleet, type FleetDevice } from '../../services/simulator/fleet.ts'
import { LoadRun } from '../../services/simulator/load-run.ts'
import { generatedWorkload } from '../../services/simulator/workload.ts'
import { residentBytes } from '../storms/storm-service.ts'
import { startService, type Service } from './standalone-service.ts'

const seconds = Number(process.argv[2] ?? 10)
const profile = process.argv.includes('--cpu-prof')
const IDLE_CONNECTIONS = 2_000
const CLOCK_TICKS = 100

/** User and system time of the whole process, in seconds. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS
}

async function storedReadings(api: ApiClient): Promise<number> {
  const { body } = await api.probe('/metrics')
  const lines = String(body).split('\n')
  const line = lines.find((candidate) => candidate.startsWith('sluice_ingest_points_total '))
  return Number(line?.split(' ')[1]) / 2
}

function loadOf(service: Service, devices: readonly FleetDevice[], inflight: number): LoadRun {
  const workload = generatedWorkload({ seed: 1, startMs: Date.now(), stepUs: 1_000 })
  return new LoadRun({ host: '127.0.0.1', port: service.mqttPort, devices, workload, rate: 0, qos: 1, inflight })
}

async function measure(count: number, inflight: number): Promise<Record<string, number>> {
  const service = await startService({ profile })
  const devices = await registerFleet(service.api, { tenant: 'bench', prefix: 'd', count })
  const run = loadOf(service, devices, inflight)
  await run.connect()
  const cpu = cpuSeconds(service.pid)
  const own = process.cpuUsage()
  const started = performance.now()
  run.start()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  run.stop()
  while (run.open > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const acked = run.stats.acknowledged
  while ((await storedReadings(service.api)) < acked) await new Promise((resolve) => setTimeout(resolve, 20))
  const elapsed = (performance.now() - started) / 1000
  const used = cpuSeconds(service.pid) - cpu
  const load = process.cpuUsage(own)
  const row = {
    devices: count,
    'in flight': inflight,
    'stored/s': Math.round(acked / elapsed),
    'CPU-s/M': round((used / acked) * 1e6),
    'load CPU-s/M': round((load.user + load.system) / acked),
    'ack p50 ms': round(run.latency.percentile(0.5)),
    'ack p99 ms': round(run.latency.percentile(0.99)),
    'RSS MB': Math.round(residentBytes(service.pid) / 1e6),
  }
  await run.close()
  await service.stop()
  return row
}

async function measureIdle(): Promise<number> {
  const service = await startService({ profile })
  const devices = await registerFleet(service.api, { tenant: 'bench', prefix: 'idle', count: IDLE_CONNECTIONS })
  const before = residentBytes(service.pid)
  const run = loadOf(service, devices, 1)
  await run.connect()
  const bytes = (residentBytes(service.pid) - before) / IDLE_CONNECTIONS
  await run.close()
  await service.stop()
  return Math.round(bytes)
}

function round(value: number): number {
  return Number(value.toFixed(2))
}

const rows: Record<string, number>[] = []
for (const devices of [100, 1_000]) for (const inflight of [1, 16]) rows.push(await measure(devices, inflight))
console.table(rows)
console.log(`resident bytes per idle connection (${IDLE_CONNECTIONS} of them): ${await measureIdle()}`)
