import { setTimeout as delay } from 'node:timers/promises'
import { connectAsync, type MqttClient } from 'mqtt'
import { expect, it, onTestFailed, onTestFinished } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { registerFleet, type FleetDevice } from '../../../services/simulator/fleet.ts'
import { startHaproxy, type Haproxy } from '../../../load-tests/servers/haproxy.ts'
import { simulate } from '../kill-in-mid-load.ts'
import type { Cluster } from '../../../load-tests/cluster/cluster.ts'
import { CommandedFleet } from './commanded-fleet.ts'
import { LIMIT_MS, useServers } from './harness.ts'

/** Half of them send telemetry, half get commands; `SLUICE_CLIENTS=3000` on a machine that has nothing else to do. */
const CLIENTS = Number(process.env['SLUICE_CLIENTS'] ?? 300)
/** Times count only then. */
const IS_FULL = CLIENTS >= 3_000
const BACK_WITHIN_MS = 10_000
const TELEMETRY_RATE = 500
const BEFORE_FAULT_MS = 2_000
const PATIENCE = { timeout: 60_000, interval: 200 }

const brokerEnv = { MQTT_PROXY_PROTOCOL: 'on', MQTT_PROXY_FROM: '127.0.0.1', LOG_LEVEL: 'info' }
const PLAN = { workers: 2, brokers: 3, brokerEnv }

const deployment = useServers()

/** Three brokers behind HAProxy, telemetry of half of the clients and commands to the other half. */
async function startLoad() {
  onTestFailed(() => deployment.discard())
  const cluster = await deployment.clusterFor('brokers', PLAN)
  const haproxy = await startHaproxy(deployment.folder, cluster.brokers.map(nodeOf))
  onTestFinished(() => haproxy.stop())
  await expect.poll(() => haproxy.usable(), PATIENCE).toEqual([true, true, true])
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

type Load = Awaited<ReturnType<typeof startLoad>>

function nodeOf({ ready }: Cluster['broker']) {
  return { mqtt: ready.mqtt?.port ?? 0, tls: ready.tls?.port ?? 0, operations: ready.operations }
}

/** Everything that was acknowledged is there, up and down. */
async function expectKept(title: string, { fleet, simulation }: Load): Promise<void> {
  await fleet.allBack()
  await fleet.stopSending()
  simulation.stopSending()
  const verdict = await simulation.verdict
  await expect.poll(() => fleet.missing, PATIENCE).toEqual([])
  const longest = Math.max(0, ...fleet.absences)
  const { acked, lost } = verdict
  const figures = { clients: CLIENTS, acked, lost, commands: fleet.acknowledged.size, returns: fleet.absences.length }
  process.stdout.write(`${title}: ${JSON.stringify({ ...figures, longestAbsenceMs: Math.round(longest) })}\n`)
  expect({ lost, wrong: verdict.wrong }).toEqual({ lost: 0, wrong: 0 })
  expect(acked).toBeGreaterThan(0)
  expect(fleet.acknowledged.size).toBeGreaterThan(0)
  expect(fleet.absences.length).toBeGreaterThan(0)
  if (IS_FULL) expect(longest).toBeLessThan(BACK_WITHIN_MS)
}

/** Connects until every broker has one of the connections. */
async function onEachBroker(cluster: Cluster, connect: () => Promise<MqttClient>): Promise<MqttClient[]> {
  const clients: MqttClient[] = []
  const busy = () => Promise.all(cluster.brokers.map((broker) => broker.metric('sluice_broker_connections')))
  await expect
    .poll(async () => {
      clients.push(await connect())
      return Math.min(...(await busy()))
    }, PATIENCE)
    .toBeGreaterThan(0)
  return clients
}

/** HAProxy gives all nodes connections again. */
function allUsable(haproxy: Haproxy): Promise<void> {
  return expect.poll(() => haproxy.usable(), PATIENCE).toEqual([true, true, true])
}

it(
  'kill -9 of one of three: its clients are back elsewhere, and get every command',
  { timeout: LIMIT_MS },
  async () => {
    const load = await startLoad()
    const [, victim] = load.cluster.brokers
    await victim?.stop('SIGKILL')
    await expect.poll(() => load.fleet.absences.length, PATIENCE).toBeGreaterThan(0)
    await load.fleet.allBack()
    await victim?.start()
    await allUsable(load.haproxy)
    await expectKept('kill -9 of a broker', load)
  },
)

it('a rolling restart: clients change the node, and see no error', { timeout: LIMIT_MS }, async () => {
  const load = await startLoad()
  for (const broker of load.cluster.brokers) {
    expect(await broker.stop('SIGTERM')).toBe(0)
    await load.fleet.allBack()
    await broker.start()
    await allUsable(load.haproxy)
  }
  await expectKept('rolling restart of the brokers', load)
  expect(load.fleet.errors).toEqual([])
})

it(
  'MariaDB hangs: no broker is taken from the balancer, who is known connects, and publishes are acknowledged',
  { timeout: LIMIT_MS },
  async () => {
    onTestFailed(() => deployment.discard())
    const cluster = await deployment.clusterFor('brokers', PLAN)
    const haproxy = await startHaproxy(deployment.folder, cluster.brokers.map(nodeOf))
    onTestFinished(() => haproxy.stop())
    await allUsable(haproxy)
    const api = new ApiClient({ url: cluster.url, token: cluster.token })
    const tenant = `h${Date.now().toString(36)}`
    const [marker, device] = await registerFleet(api, { tenant, prefix: 'known', count: 2 })
    const connect = (login: FleetDevice | undefined) => {
      const { username = '', secret: password = '' } = login ?? {}
      return connectAsync(`mqtt://127.0.0.1:${haproxy.mqtt}`, { username, password, reconnectPeriod: 0 })
    }
    const username = device?.username ?? ''
    // A broker that closes the marker has heard of everything before: what it hears of a login makes it ask again.
    const markers = await onEachBroker(cluster, () => connect(marker))
    const closed = markers.map((client) => new Promise<void>((resolve) => client.once('close', () => resolve())))
    await api.post(`/v1/devices/${marker?.username}/revoke`, {})
    await Promise.all(closed)
    const clients = await onEachBroker(cluster, () => connect(device))
    const { process: mariadb } = deployment.servers.mariadb
    mariadb.signal('SIGSTOP')
    onTestFinished(() => mariadb.signal('SIGCONT'))
    const told = async () => (await cluster.broker.readiness()).checks.find(({ name }) => name === 'registry')?.ok
    await expect.poll(told, PATIENCE).toBe(false)
    // Long enough for HAProxy to have asked each of them several times.
    for (let looks = 0; looks < 10; looks += 1) {
      expect(await haproxy.usable()).toEqual([true, true, true])
      clients.push(await connect(device))
      await clients.at(-1)?.publishAsync(`t/${username}/telemetry`, `{"v":${looks}}`, { qos: 1 })
      await delay(300)
    }
    mariadb.signal('SIGCONT')
    await expect.poll(told, PATIENCE).toBe(true)
    await Promise.all(clients.map((client) => client.endAsync(true)))
  },
)

it('all workers killed: none is told to live, and the lag goes on being read', { timeout: LIMIT_MS }, async () => {
  onTestFailed(() => deployment.discard())
  const cluster = await deployment.clusterFor('brokers', PLAN)
  const partitions = async () =>
    (await cluster.get<{ workers: { partitions: number[] }[] }>('/v1/workers')).workers.flatMap((one) => one.partitions)
  await expect.poll(async () => (await partitions()).length, PATIENCE).toBe(12)
  await Promise.all(cluster.workers.map((worker) => worker.stop('SIGKILL')))
  await expect.poll(partitions, PATIENCE).toEqual([])
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const [device] = await registerFleet(api, { tenant: `w${Date.now().toString(36)}`, prefix: 'kept', count: 1 })
  await api.post(`/v1/devices/${device?.username}/readings`, { v: 1 })
  await expect.poll(() => cluster.api.metric('sluice_log_lag_records'), PATIENCE).toBeGreaterThan(0)
  await Promise.all(cluster.workers.map((worker) => worker.start()))
  await expect.poll(() => cluster.api.metric('sluice_log_lag_records'), PATIENCE).toBe(0)
})
