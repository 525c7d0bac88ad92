import { readFileSync } from 'node:fs'
import mqtt from 'mqtt'
import { describe, expect, it, vi } from 'vitest'
import { ApiClient } from '../../shared/api-client.ts'
import { simulate, type SimulationProgress } from '../../services/simulator/simulation.ts'
import { generatedWorkload, stepOf } from '../../services/simulator/workload.ts'
import { lasting } from '../long.ts'
import { isBusy, PATIENCE } from '../patience.ts'
import { connectDevice, type Login } from './first-visit.ts'
import { metricOf, startServer, type Server } from './server.ts'

const CLIENTS = 200
const RATE = 4_000
const STALL_MS = lasting({ gate: 10_000, long: 60_000 })
/** Seconds: a client that the broker does not answer closes its connection well before the end of the stall. */
const KEEP_ALIVE = 2

describe('the log stops taking appends for a while under the load of 200 clients', () => {
  it('nothing is acknowledged, nobody is disconnected, memory stays, and all goes on when it is back', async () => {
    const server = await startServer({ entry: 'test/variants/stalling-log.ts' })
    const load = startLoad(server, 16)
    const pinging = await connectDevice(server, await deviceOf(server), { keepalive: KEEP_ALIVE })
    await vi.waitUntil(() => load.acked() > 3 * RATE, 30_000)

    stall(server)
    await settled(load.acked)
    const before = { acked: load.acked(), rss: residentBytes(server), lost: load.connectionsLost() }
    let hasAck = false
    pinging.publish('t/stall/pinging/telemetry', '{"n":1}', { qos: 1 }, () => (hasAck = true))
    await hold(STALL_MS)
    expect({ isConnected: pinging.connected, hasAck }).toEqual({ isConnected: true, hasAck: false })
    expect(load.acked()).toBe(before.acked)
    expect(load.connectionsLost()).toBe(before.lost)
    expect(load.online()).toBe(CLIENTS)
    expect(residentBytes(server) - before.rss).toBeLessThan(64 << 20)

    resume(server)
    const resumedAt = performance.now()
    await vi.waitUntil(() => load.acked() > before.acked, { ...PATIENCE, interval: 5 })
    const resumedMs = Math.round(performance.now() - resumedAt)
    process.stdout.write(`the log goes on: acknowledged again after ${resumedMs} ms\n`)
    if (!isBusy()) expect(resumedMs).toBeLessThan(1_000)
    await vi.waitUntil(() => hasAck, PATIENCE)
    load.stop()
    expect(await load.report).toMatchObject({
      lost: 0,
      duplicated: 0,
      wrong: 0,
      connectionsLost: 0,
      outOfOrder: 0,
      unacknowledged: 0,
    })
  })

  it('over the caps newcomers get CONNACK 3, and connections are shed and counted', async () => {
    const server = await startServer({ entry: 'test/variants/stalling-log.ts', env: { MAX_IN_FLIGHT_RECORDS: '1000' } })
    const load = startLoad(server, 64)
    await vi.waitUntil(() => load.acked() > RATE, 30_000)

    stall(server)
    const newcomer = await vi.waitUntil(() => refusal(server), { timeout: 30_000, interval: 100 })
    expect(newcomer).toBe(3)
    await vi.waitUntil(async () => (await metricOf(server, 'sluice_broker_connections_shed_total')) > 0, {
      timeout: 60_000,
      interval: 250,
    })
    resume(server)
    load.stop()
    expect(await load.report).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
  })
})

async function deviceOf({ url, token }: Server): Promise<Login> {
  const response = await fetch(`${url}/v1/devices`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tenant: 'stall', device: 'pinging' }),
  })
  return (await response.json()) as Login
}

function startLoad(server: Server, inflight: number) {
  const latest: { progress?: SimulationProgress } = {}
  const ending = new AbortController()
  const api = new ApiClient({ url: server.url, token: server.token })
  const workload = generatedWorkload({ seed: 1, startMs: Date.now(), stepUs: stepOf(RATE, CLIENTS) })
  const options = {
    mqtt: { host: '127.0.0.1', port: server.mqttPort },
    ...{ tenant: 'stall', prefix: 'd', devices: CLIENTS, rate: RATE, durationMs: Infinity, qos: 1 as const, inflight },
    ...{ verify: true, patienceMs: 30_000, keep: false },
  }
  const report = simulate(options, {
    api,
    workload,
    interruption: ending.signal,
    onProgress: (progress) => (latest.progress = progress),
  })
  return {
    report,
    stop: () => ending.abort(),
    acked: () => latest.progress?.stats?.acknowledged ?? 0,
    online: () => latest.progress?.stats?.online ?? 0,
    connectionsLost: () => latest.progress?.stats?.connectionsLost ?? 0,
  }
}

function stall(server: Server): void {
  process.kill(server.pid, 'SIGUSR2')
}

function resume(server: Server): void {
  process.kill(server.pid, 'SIGUSR2')
}

/** Resolves when the count has not moved for a while: the acknowledgements that were under way have arrived. */
async function settled(count: () => number): Promise<void> {
  for (let before = -1; before !== count();) {
    before = count()
    await hold(1_000)
  }
}

/** The length of the outage is what the test is about; nothing is waited for. */
function hold(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function residentBytes(server: Server): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

/** The CONNACK code that a newcomer without a login gets, when it is not the usual refusal of the login. */
async function refusal(server: Server): Promise<number | undefined> {
  const client = mqtt.connect({
    port: server.mqttPort,
    host: '127.0.0.1',
    reconnectPeriod: 0,
    username: 'a/b',
    password: 'c',
  })
  const code = await new Promise<number | undefined>((resolve) => {
    client.once('error', (error) => resolve('code' in error && typeof error.code === 'number' ? error.code : undefined))
    client.once('close', () => resolve(undefined))
  })
  await client.endAsync(true)
  return code === 3 ? code : undefined
}
