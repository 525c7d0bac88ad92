import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { registerFleet, type FleetDevice } from '../../../services/simulator/fleet.ts'
import type { Cluster } from '../../../load-tests/cluster/cluster.ts'
import { startPrometheus } from '../../../load-tests/servers/prometheus.ts'
import type { ServerProcess } from '../../../load-tests/servers/server-process.ts'
import {
  allUsable,
  CLUSTER_PATIENCE,
  expectKept,
  onEachBroker,
  startBalanced,
  startLoad,
  type Load,
} from './behind-haproxy.ts'
import { LIMIT_MS, useServers } from './harness.ts'
import { askWhileHung, type WhileHung } from './hung-servers.ts'

const deployment = useServers()
/** Of Prometheus. */
const SCRAPE_SECONDS = 5
const SLUICE = join(import.meta.dirname, '../../../sluice')

it(
  'kill -9 of one of three: its clients are back elsewhere, and get every command',
  { timeout: LIMIT_MS },
  async () => {
    const load = await startLoad(deployment)
    const [, victim] = load.cluster.brokers
    await victim?.stop('SIGKILL')
    await expect.poll(() => load.fleet.absences.length, CLUSTER_PATIENCE).toBeGreaterThan(0)
    await load.fleet.allBack()
    await victim?.start()
    await allUsable(load.haproxy)
    await expectKept('kill -9 of a broker', load)
    expect(load.fleet.absences.length).toBeGreaterThan(0)
  },
)

it('a rolling restart: clients change the node, and see no error', { timeout: LIMIT_MS }, async () => {
  const load = await startLoad(deployment)
  for (const broker of load.cluster.brokers) {
    expect(await broker.stop('SIGTERM')).toBe(0)
    await load.fleet.allBack()
    await broker.start()
    await allUsable(load.haproxy)
  }
  await expectKept('rolling restart of the brokers', load)
  expect(load.fleet.absences.length).toBeGreaterThan(0)
  expect(load.fleet.errors).toEqual([])
})

/** What `./sluice` says of the workers; it exits with 1 where that is bad. */
function told({ url, token }: Cluster, verb: 'status' | 'doctor'): Promise<string> {
  const env = { ...process.env, SLUICE_URL: url, SLUICE_TOKEN: token }
  return new Promise((resolve) => execFile(SLUICE, [verb], { env }, (_error, stdout) => resolve(stdout)))
}

it('all workers killed: it is told everywhere, and the lag goes on being read', { timeout: LIMIT_MS }, async () => {
  const { cluster } = await startBalanced(deployment)
  const members = [cluster.api, ...cluster.brokers, ...cluster.workers]
  const scraped = members.map(({ ready }) => ready.operations)
  const prometheus = await startPrometheus(deployment.folder, scraped, SCRAPE_SECONDS)
  onTestFinished(() => prometheus.stop())
  const partitions = async () =>
    (await cluster.get<{ workers: { partitions: number[] }[] }>('/v1/workers')).workers.flatMap((one) => one.partitions)
  await expect.poll(async () => (await partitions()).length, CLUSTER_PATIENCE).toBe(12)
  await expect.poll(() => prometheus.firing(), CLUSTER_PATIENCE).toEqual([])
  await Promise.all(cluster.workers.map((worker) => worker.stop('SIGKILL')))
  const began = performance.now()
  const seen = (what: string) => `${what} after ${((performance.now() - began) / 1000).toFixed(1)} s`
  const looks = [
    expect.poll(partitions, CLUSTER_PATIENCE).toEqual([]).then(() => seen('the API')),
    expect.poll(() => told(cluster, 'status'), CLUSTER_PATIENCE).toContain('none lives').then(() => seen('status')),
    expect.poll(() => told(cluster, 'doctor'), CLUSTER_PATIENCE).toContain('none lives').then(() => seen('doctor')),
    expect.poll(() => prometheus.firing(), CLUSTER_PATIENCE).toContain('SluiceNoWorkers').then(() => seen('the alert')),
  ] // prettier-ignore
  process.stdout.write(`all workers killed, seen by ${(await Promise.all(looks)).join(', ')}\n`)
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const [device] = await registerFleet(api, { tenant: `w${Date.now().toString(36)}`, prefix: 'kept', count: 1 })
  await api.post(`/v1/devices/${device?.username}/readings`, { v: 1 })
  await expect.poll(() => cluster.api.metric('sluice_log_lag_records'), CLUSTER_PATIENCE).toBeGreaterThan(0)
  await Promise.all(cluster.workers.map((worker) => worker.start()))
  await expect.poll(() => cluster.api.metric('sluice_log_lag_records'), CLUSTER_PATIENCE).toBe(0)
  await expect.poll(() => prometheus.firing(), CLUSTER_PATIENCE).not.toContain('SluiceNoWorkers')
})

/** A device that every broker knows, and a client of it on each. */
async function knownDevice({ cluster, haproxy }: Load) {
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const [marker, device] = await registerFleet(api, {
    tenant: `h${Date.now().toString(36)}`,
    ...{ prefix: 'known', count: 2 },
  })
  if (device === undefined) throw new Error('a fleet of two has two devices')
  const connect = (login: FleetDevice | undefined) => {
    const { username = '', secret: password = '' } = login ?? {}
    return connectAsync(`mqtt://127.0.0.1:${haproxy.mqtt}`, { username, password, reconnectPeriod: 0 })
  }
  // A broker that closes the marker has heard of everything before: what it hears of a login makes it ask again.
  const markers = await onEachBroker(cluster, () => connect(marker))
  const closed = markers.map((client) => new Promise<void>((resolve) => client.once('close', () => resolve())))
  await api.post(`/v1/devices/${marker?.username}/revoke`, {})
  await Promise.all(closed)
  return { device, clients: await onEachBroker(cluster, () => connect(device)) }
}

it('each server hangs in turn: who answers, and nothing is lost', { timeout: LIMIT_MS }, async () => {
  const load = await startLoad(deployment)
  const { device, clients } = await knownDevice(load)
  const { mariadb, sessions, cache, influxdb, kafka } = deployment.servers
  const table: Record<string, WhileHung> = {}
  const hang = async (name: string, servers: readonly ServerProcess[]) => {
    for (const one of servers) one.signal('SIGSTOP')
    try {
      const [open] = clients.filter(({ connected }) => connected)
      if (open === undefined) throw new Error(`no client is connected any more when ${name} hangs`)
      table[name] = await askWhileHung(load, device, open)
    } finally {
      for (const one of servers) one.signal('SIGCONT')
    }
    const failing = async () => (await load.cluster.broker.readiness()).checks.filter(({ ok }) => !ok)
    await expect.poll(failing, CLUSTER_PATIENCE).toEqual([])
    await allUsable(load.haproxy)
    process.stdout.write(`${name} hangs: ${JSON.stringify(table[name])}\n`)
  }
  await hang('MariaDB', [mariadb.process])
  await hang('Redis', [sessions.process, cache.process])
  await hang('InfluxDB', [influxdb.process])
  await hang('Kafka', kafka.processes)
  const all = { answered: 4 }
  const works = { publish: all, connect: all, ready: all }
  expect(table).toMatchObject({
    MariaDB: { outcomes: works, usable: 3 },
    Redis: { outcomes: { ...works, devices: all, latest: all, readings: all }, usable: 3 },
    InfluxDB: { outcomes: { ...works, devices: all, latest: all }, usable: 3 },
    Kafka: { outcomes: { devices: all, latest: all, readings: all } },
  })
  expect(table['Kafka']?.outcomes.publish).not.toHaveProperty('answered')
  await Promise.all(clients.map((client) => client.endAsync(true)))
  await expectKept('each server hung in turn', load)
})
