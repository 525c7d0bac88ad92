import { setTimeout as delay } from 'node:timers/promises'
import type { MqttClient } from 'mqtt'
import { expect, onTestFailed, onTestFinished } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { registerFleet } from '../../../services/simulator/fleet.ts'
import { startHaproxy, type Haproxy } from '../../../load-tests/servers/haproxy.ts'
import { simulate } from '../kill-in-mid-load.ts'
import type { Cluster } from '../../../load-tests/cluster/cluster.ts'
import { CommandedFleet } from './commanded-fleet.ts'
import type { Deployment } from './harness.ts'

/** Half of them send telemetry, half get commands; `SLUICE_CLIENTS=3000` on a machine that has nothing else to do. */
const CLIENTS = Number(process.env['SLUICE_CLIENTS'] ?? 300)
/** Times count only then. */
const IS_FULL = CLIENTS >= 3_000
const BACK_WITHIN_MS = 10_000
const TELEMETRY_RATE = 500
const BEFORE_FAULT_MS = 2_000
export const CLUSTER_PATIENCE = { timeout: 60_000, interval: 200 }

const brokerEnv = { MQTT_PROXY_PROTOCOL: 'on', MQTT_PROXY_FROM: '127.0.0.1', LOG_LEVEL: 'info' }
const PLAN = { workers: 2, brokers: 3, brokerEnv }

/** Three brokers behind the HAProxy that we hand out, those of the test before if it had them. */
export async function startBalanced(deployment: Deployment): Promise<{ cluster: Cluster; haproxy: Haproxy }> {
  onTestFailed(() => deployment.discard())
  const cluster = await deployment.clusterFor('brokers', PLAN)
  const haproxy = await startHaproxy(deployment.folder, cluster.brokers.map(nodeOf))
  onTestFinished(() => haproxy.stop())
  await allUsable(haproxy)
  return { cluster, haproxy }
}

/** The same with telemetry of half of the clients and commands to the other half. */
export async function startLoad(deployment: Deployment) {
  const { cluster, haproxy } = await startBalanced(deployment)
  const tenant = `t${Date.now().toString(36)}`
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const devices = await registerFleet(api, { tenant, prefix: 'commanded', count: CLIENTS / 2 })
  const name = `commander-${tenant}`
  const rules = [{ effect: 'allow', action: 'publish', topic: `t/${tenant}/+/cmd/#` }]
  const { secret } = await api.post<{ secret: string }>('/v1/applications', { name, rules })
  const application = { username: name, secret }
  const fleet = await CommandedFleet.start({ port: haproxy.mqtt, devices, application })
  onTestFinished(() => fleet.close())
  const simulation = simulate({ url: cluster.url, token: cluster.token, folder: deployment.folder }, [
    ...['--mqtt', `127.0.0.1:${haproxy.mqtt}`, '--tenant', `${tenant}s`, '--devices', String(CLIENTS / 2)],
    ...['--rate', String(TELEMETRY_RATE), '--duration', '1h', '--inflight', '16', '--seed', '1', '--verify', '--keep'],
  ])
  await simulation.sending
  fleet.send(devices)
  await delay(BEFORE_FAULT_MS)
  return { cluster, haproxy, fleet, simulation }
}

export type Load = Awaited<ReturnType<typeof startLoad>>

function nodeOf({ ready }: Cluster['broker']) {
  return { mqtt: ready.mqtt?.port ?? 0, tls: ready.tls?.port ?? 0, operations: ready.operations }
}

/** Everything that was acknowledged is there, up and down. */
export async function expectKept(title: string, { fleet, simulation }: Load): Promise<void> {
  await fleet.allBack()
  await fleet.stopSending()
  simulation.stopSending()
  const verdict = await simulation.verdict
  await expect.poll(() => fleet.missing, CLUSTER_PATIENCE).toEqual([])
  const longest = Math.max(0, ...fleet.absences)
  const { acked, lost } = verdict
  const figures = { clients: CLIENTS, acked, lost, commands: fleet.acknowledged.size, returns: fleet.absences.length }
  process.stdout.write(`${title}: ${JSON.stringify({ ...figures, longestAbsenceMs: Math.round(longest) })}\n`)
  expect({ lost, wrong: verdict.wrong }).toEqual({ lost: 0, wrong: 0 })
  expect(acked).toBeGreaterThan(0)
  expect(fleet.acknowledged.size).toBeGreaterThan(0)
  if (IS_FULL) expect(longest).toBeLessThan(BACK_WITHIN_MS)
}

/** Connects until every broker has one of the connections. */
export async function onEachBroker(cluster: Cluster, connect: () => Promise<MqttClient>): Promise<MqttClient[]> {
  const clients: MqttClient[] = []
  const connections = () => Promise.all(cluster.brokers.map((broker) => broker.metric('sluice_broker_connections')))
  const before = await connections()
  await expect
    .poll(async () => {
      clients.push(await connect())
      const now = await connections()
      return Math.min(...now.map((count, index) => count - (before[index] ?? 0)))
    }, CLUSTER_PATIENCE)
    .toBeGreaterThan(0)
  return clients
}

/** HAProxy gives all nodes connections again. */
export function allUsable(haproxy: Haproxy): Promise<void> {
  return expect.poll(() => haproxy.usable(), CLUSTER_PATIENCE).toEqual([true, true, true])
}
