/**
 * What acknowledgements wait while many devices are asked for: one process with so many devices, of which an hour of minutes is
 * stored; MQTT at a steady rate alone, and beside requests for that hour of all of them, one after the other.
 *
 *     node load-tests/bench/scan-acks.ts [devices] [messages per second] [seconds per row]
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { registerFleet, type FleetDevice } from '../../services/simulator/fleet.ts'
import { LoadRun } from '../../services/simulator/load-run.ts'
import { generatedWorkload } from '../../services/simulator/workload.ts'
import { startService, type Service } from './standalone-service.ts'

const count = Number(process.argv[2] ?? 1000)
const rate = Number(process.argv[3] ?? 1000)
const seconds = Number(process.argv[4] ?? 10)
const START = Date.UTC(2026, 0, 10)
const MINUTES = 60

async function load(
  service: Service,
  devices: readonly FleetDevice[],
  startMs: number,
  perSecond: number,
): Promise<LoadRun> {
  const workload = generatedWorkload({ seed: 1, startMs, stepUs: 60_000_000 })
  const connection = { host: '127.0.0.1', port: service.mqttPort }
  const run = new LoadRun({ ...connection, devices, workload, rate: perSecond, qos: 1, inflight: 16 })
  await run.connect()
  run.start()
  return run
}

async function ended(run: LoadRun): Promise<void> {
  run.stop()
  while (run.open > 0) await sleep(5)
  await run.close()
}

function acks({ latency, stats }: LoadRun): string {
  const at = (share: number) => latency.percentile(share).toFixed(1)
  return `${stats.acknowledged} acknowledged, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`
}

/** Asks for the hour until the time is over; how long each answer took. */
async function ask({ api }: Service, forMs: number): Promise<string> {
  const query = { fields: 'value', from: START, to: START + 3_600_000, limit: 100_000 }
  const times: number[] = []
  let points = 0
  for (const until = performance.now() + forMs; performance.now() < until;) {
    const began = performance.now()
    const page = await api.get<{ series: { points: unknown[] }[]; endedBy: string }>(
      '/v1/tenants/bench/readings',
      query,
    )
    if (page.endedBy !== 'all' && page.endedBy !== 'state') throw new Error(`a page was ended by ${page.endedBy}`)
    times.push(performance.now() - began)
    points = page.series.reduce((sum, one) => sum + one.points.length, 0)
  }
  times.sort((a, b) => a - b)
  const at = (share: number) => (times[Math.floor(times.length * share)] ?? NaN).toFixed(0)
  return `${times.length} answers of ${points} points, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`
}

const service = await startService()
const devices = await registerFleet(service.api, { tenant: 'bench', prefix: 'd', count })
const filling = await load(service, devices, START, 0)
while (filling.stats.acknowledged < count * MINUTES) await sleep(50)
await ended(filling)
await sleep(2000)
const alone = await load(service, devices, START + 7 * 86_400_000, rate)
await sleep(seconds * 1000)
await ended(alone)
console.log(`alone:           ${acks(alone)}`)
const beside = await load(service, devices, START + 14 * 86_400_000, rate)
const answers = await ask(service, seconds * 1000)
await ended(beside)
console.log(`beside requests: ${acks(beside)}`)
console.log(`the requests:    ${answers}`)
await service.stop()
