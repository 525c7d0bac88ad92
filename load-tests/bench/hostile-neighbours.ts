/**
 * What an honest device waits beside hostile neighbours: one process of Sluice, or a cluster of one broker, worker and API on
 * real servers (--cluster); a device that publishes at a steady rate, QoS 1, alone,
 * and beside each kind of neighbour, who is a process of his own. Each row is measured between two without neighbours.
 *
 *     node load-tests/bench/hostile-neighbours.ts [messages per second] [seconds per row] [neighbour] [--cluster]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { registerFleet, type FleetDevice } from '../../services/simulator/fleet.ts'
import { LoadRun } from '../../services/simulator/load-run.ts'
import { generatedWorkload } from '../../services/simulator/workload.ts'
import { startClusterService, type HostileService } from '../hostile/cluster-service.ts'
import { NEIGHBOURS, type NeighbourTask } from '../hostile/neighbours.ts'
import { startStormService } from '../storms/storm-service.ts'

const isCluster = process.argv.includes('--cluster')
const [rateText = '100', secondsText = '10', wanted] = process.argv.slice(2).filter((text) => text !== '--cluster')
const rate = Number(rateText)
const seconds = Number(secondsText)
const PROGRAM = new URL('../hostile/neighbours.ts', import.meta.url)
const STEP_MS = 1_000
const SAMPLE_MS = 50
/** For what a neighbour left behind. */
const QUIET_MS = 3_000

interface Row {
  readonly acknowledged: number
  readonly p50: number
  readonly p99: number
  readonly slowest: number
  /** Bytes that were resident at most. */
  readonly peak: number
}

let startMs = Date.UTC(2026, 0, 10)

/** The honest device for one row. */
async function honest(service: HostileService, device: FleetDevice): Promise<Row> {
  startMs += 7 * 86_400_000
  const workload = generatedWorkload({ seed: 1, startMs, stepUs: STEP_MS * 1000 })
  const connection = { host: '127.0.0.1', port: service.mqttPort, devices: [device] }
  const run = new LoadRun({ ...connection, workload, rate, qos: 1, inflight: 16 })
  await run.connect()
  let peak = 0
  const sampler = setInterval(() => (peak = Math.max(peak, service.residentBytes())), SAMPLE_MS)
  run.start()
  await sleep(seconds * 1000)
  run.stop()
  while (run.open > 0) await sleep(5)
  clearInterval(sampler)
  await run.close()
  const { latency, stats } = run
  const at = (share: number) => latency.percentile(share)
  return { acknowledged: stats.acknowledged, p50: at(0.5), p99: at(0.99), slowest: at(1), peak }
}

/** The same beside a neighbour. */
async function beside(task: NeighbourTask, service: HostileService, device: FleetDevice) {
  const child = fork(PROGRAM, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  child.send(task)
  await once(child, 'message')
  const row = await honest(service, device)
  child.send('stop')
  const [done] = (await once(child, 'message')) as [string]
  await once(child, 'exit')
  await sleep(QUIET_MS)
  return { row, done }
}

function say(name: string, { acknowledged, p50, p99, slowest, peak }: Row, rest = ''): void {
  const times = [p50, p99, slowest].map((ms) => ms.toFixed(1)).join(' / ')
  const memory = `${Math.round(peak / 1e6)} MB`
  console.log(`${name.padEnd(16)} ${acknowledged} acknowledged, p50 / p99 / slowest ${times} ms, ${memory} ${rest}`)
}

const service = isCluster ? await startClusterService() : await startStormService()
const [device, ...logins] = await registerFleet(service.api, {
  tenant: 'bench',
  prefix: 'd',
  count: 1 + NEIGHBOURS.length,
})
if (device === undefined) throw new Error('the fleet has devices')
const { mqttPort, wsPort, tlsPort, api, token } = service
const ports = { mqtt: mqttPort, ws: wsPort, tls: tlsPort, http: Number(api.url.port) }
await honest(service, device)
for (const [index, kind] of NEIGHBOURS.entries()) {
  const login = logins[index]
  if (login === undefined || (wanted !== undefined && wanted !== kind)) continue
  say('alone', await honest(service, device))
  const { row, done } = await beside({ kind, login, ports, token }, service, device)
  say(kind, row, done)
}
say('alone', await honest(service, device))
await service.stop()
