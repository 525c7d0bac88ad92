import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { connect as connectTls } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { CertificateFolder } from '../../../shared/certificates/certificate-folder.ts'
import { registerFleet, type FleetDevice } from '../../../services/simulator/fleet.ts'
import { isBusy } from '../../patience.ts'
import { LIMIT_MS, useServers } from './harness.ts'
import type { Member } from '../../../load-tests/cluster/member.ts'

const DEVICES = 40
const ENOUGH_MESSAGES = 200
const ENDED_WITHIN_MS = 2_000
const PATIENCE = { timeout: 60_000, interval: 100 }

const deployment = useServers()

/** Two brokers with TLS, a worker and the API, each a process; devices of a tenant of their own. */
async function start() {
  const certificates = new CertificateFolder(join(deployment.folder, 'tls'))
  if (!certificates.exists) await certificates.init(['localhost', '127.0.0.1'], 30)
  const cluster = await deployment.clusterFor('logins', { workers: 1, brokers: 2, brokerEnv: certificates.settings })
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const tenant = `t${Date.now().toString(36)}`
  const devices = await registerFleet(api, { tenant, prefix: 'd', count: DEVICES })
  const ca = readFileSync(join(certificates.path, 'ca.crt'), 'utf8')
  const nodes = [nodeAt(cluster.brokers, 0), nodeAt(cluster.brokers, 1)] as const
  return { api, devices, certificates, ca, nodes }
}

function nodeAt(brokers: readonly Member[], index: number): Member {
  const node = brokers[index]
  if (node === undefined) throw new Error(`there is no broker ${index}`)
  return node
}

async function logIn(node: Member, login: Pick<FleetDevice, 'username' | 'secret'>, ca?: string): Promise<MqttClient> {
  const port = ca === undefined ? node.ready.mqtt?.port : node.ready.tls?.port
  const tls: IClientOptions = ca === undefined ? {} : { protocol: 'mqtts', ca }
  const { username, secret: password } = login
  const client = await mqtt.connectAsync({
    ...{ host: '127.0.0.1', port: port ?? 0, username, password, reconnectPeriod: 0, ...tls },
  })
  onTestFinished(() => client.endAsync(true))
  return client
}

/** Serial number of the certificate that a new client is shown. */
function serialAt(node: Member, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port: node.ready.tls?.port ?? 0, ca })
    socket.on('error', reject)
    socket.on('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
  })
}

it(
  'every credential and the certificate change under load: nobody is disconnected',
  { timeout: LIMIT_MS },
  async () => {
    const { api, devices, certificates, ca, nodes } = await start()
    const clients = await Promise.all(devices.map((device, index) => logIn(nodes[index % 2] ?? nodes[0], device, ca)))
    let [closed, acked, isGoing] = [0, 0, true]
    const load = clients.map(async (client, index) => {
      client.on('close', () => (closed += 1))
      while (isGoing) {
        await client.publishAsync(`t/${devices[index]?.username}/telemetry`, '{"n":1}', { qos: 1 })
        acked += 1
      }
    })
    const more = async (): Promise<void> => {
      const before = acked
      await expect.poll(() => acked, PATIENCE).toBeGreaterThan(before + ENOUGH_MESSAGES)
    }
    const before = await Promise.all(nodes.map((node) => serialAt(node, ca)))
    await more()
    await certificates.renew(['server'])
    const renewed: FleetDevice[] = []
    for (const device of devices) {
      const made = await api.post<{ secret: string }>(`/v1/devices/${device.username}/rotate`, { overlapSeconds: 60 })
      renewed.push({ ...device, secret: made.secret })
    }
    for (const [index, node] of nodes.entries()) {
      await expect.poll(() => serialAt(node, ca), PATIENCE).not.toBe(before[index])
    }
    await more()
    expect(closed).toBe(0)
    // The new ones work; with the first use of each the old one ends, which closes nothing either.
    for (const device of renewed) await (await logIn(nodes[0], device, ca)).endAsync()
    await more()
    expect(closed).toBe(0)
    isGoing = false
    await Promise.all(load)
  },
)

describe('revoke closes the connections of a device on every node, and of nobody else', () => {
  it.each(['with Redis', 'without Redis'])('%s', { timeout: LIMIT_MS }, async (how) => {
    const { api, devices, nodes } = await start()
    const [first, second, neighbour] = devices as [FleetDevice, FleetDevice, FleetDevice]
    const clients = [await logIn(nodes[0], first), await logIn(nodes[1], second)]
    const other = await logIn(nodes[1], neighbour)
    const { sessions, cache } = deployment.servers
    if (how === 'without Redis') {
      onTestFinished(() => Promise.all([sessions.process.start(), cache.process.start()]).then(() => undefined))
      await Promise.all([sessions.process.stop('SIGKILL'), cache.process.stop('SIGKILL')])
    }
    for (const [index, client] of clients.entries()) {
      const closed = new Promise<void>((resolve) => client.once('close', () => resolve()))
      const askedAt = performance.now()
      await api.post(`/v1/devices/${devices[index]?.username}/revoke`, {})
      await closed
      const ms = Math.round(performance.now() - askedAt)
      process.stdout.write(`revoke ${how}: closed on node ${index + 1} after ${ms} ms\n`)
      if (!isBusy()) expect(ms).toBeLessThan(ENDED_WITHIN_MS)
    }
    expect(other.connected).toBe(true)
  })
})
