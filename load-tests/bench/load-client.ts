/**
 * What the simulator's client itself costs, in CPU-seconds per million messages: it must stay well below the broker
 * that it measures. The peer is a sink in another process that only acknowledges.
 *
 *   node load-tests/bench/load-client.ts [--role sink]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { LoadRun } from '../../services/simulator/load-run.ts'
import { generatedWorkload } from '../../services/simulator/workload.ts'
import { startPublishSink } from '../servers/publish-sink.ts'

const CASES = [
  { devices: 100, inflight: 16, qos: 1 },
  { devices: 1000, inflight: 16, qos: 1 },
  { devices: 100, inflight: 1, qos: 1 },
  { devices: 100, inflight: 16, qos: 2 },
  { devices: 100, inflight: 1, qos: 0 },
] as const

const MESSAGES = 300_000

if (process.argv.includes('sink')) await serveSink()
else await measureAll()

async function serveSink(): Promise<void> {
  const sink = await startPublishSink()
  process.send?.(sink.port)
  await once(process, 'disconnect')
  await sink.close()
}

async function measureAll(): Promise<void> {
  const child = fork(import.meta.filename, ['--role', 'sink'])
  const [port] = (await once(child, 'message')) as [number]
  for (const shape of CASES) console.log(JSON.stringify({ ...shape, ...(await measure(port, shape)) }))
  child.disconnect()
}

async function measure(port: number, shape: (typeof CASES)[number]) {
  const devices = Array.from({ length: shape.devices }, (_, index) => {
    const device = `bench-${index}`
    return { tenant: 'bench', device, username: `bench/${device}`, secret: 'none' }
  })
  const endless = generatedWorkload({ seed: 1, startMs: Date.now(), stepUs: 1 })
  const workload = { ...endless, length: MESSAGES / shape.devices }
  const run = new LoadRun({
    host: '127.0.0.1',
    port,
    devices,
    workload,
    rate: 0,
    qos: shape.qos,
    inflight: shape.inflight,
  })
  await run.connect()
  const before = process.cpuUsage()
  const startedAt = performance.now()
  run.start()
  while (!run.exhausted || run.open > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(before)
  await run.close()
  const perMillion = (us: number) => Number((us / MESSAGES).toFixed(2))
  return {
    perSecond: Math.round(MESSAGES / seconds),
    cpuSecondsPerMillion: perMillion(user + system),
    system: perMillion(system),
    p99Ms: Number(run.latency.percentile(0.99).toFixed(2)),
  }
}
