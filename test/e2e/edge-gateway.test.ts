import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished, vi } from 'vitest'
import { TestAuthority } from '../certificates.ts'
import { tempFolder } from '../helpers.ts'
import { lasting } from '../long.ts'
import { startServer, type Server } from './server.ts'
import { PATIENCE } from '../patience.ts'

const DEVICES = ['north/pump-1', 'north/pump-2', 'north/pump-3']
const CUT_MS = lasting({ gate: 10_000, long: 60_000 })
/** Of each device while the uplink is cut: together more than Mosquitto keeps for a bridge unless told otherwise. */
const READINGS = 1_200

/** The way to the broker, which can be cut: connections end, and new ones are refused. */
async function startUplink(port: number) {
  const sockets = new Set<Socket>()
  const server = createServer((inner) => {
    const outer = connectTcp(port, '127.0.0.1')
    for (const [socket, other] of [[inner, outer] as const, [outer, inner] as const]) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    inner.pipe(outer).pipe(inner)
  })
  const listen = (at: number) => new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve))
  const cut = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  await listen(0)
  const { port: own } = server.address() as AddressInfo
  onTestFinished(cut)
  return { port: own, cut, mend: () => listen(own) }
}

async function call<T>(server: Server, path: string, body?: object): Promise<T> {
  const headers = { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' }
  const init = body === undefined ? { headers } : { headers, method: 'POST', body: JSON.stringify(body) }
  const response = await fetch(`${server.url}${path}`, init)
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

/** The application of the gateway, by the rules that its README shows; the secret's file. */
async function makeLogin(server: Server, folder: string): Promise<string> {
  const rule = (action: string, topic: string) => ({ effect: 'allow', action, topic })
  const up = ['telemetry/#', 'status'].map((end) => rule('publish', `t/north/+/${end}`))
  const down = ['cmd/#', 'notice'].map((end) => rule('subscribe', `t/north/+/${end}`))
  const login = { name: 'gateway-north', rules: [...up, ...down] }
  const { secret } = await call<{ secret: string }>(server, '/v1/applications', login)
  const file = join(folder, 'secret')
  writeFileSync(file, secret, { mode: 0o600 })
  return file
}

/** A gateway with the configuration that ships; its port. */
async function startGateway(folder: string, broker: number, ca: string, password: string): Promise<number> {
  const port = await freePort()
  const out = join(folder, 'gateway')
  const script = join(import.meta.dirname, '../../mosquitto/make-gateway.sh')
  const args = ['--out', out, '--tenant', 'north', '--broker', `127.0.0.1:${broker}`, '--ca', ca]
  const login = ['--username', 'gateway-north', '--password-file', password]
  execFileSync(script, [...args, ...login, '--listen', `127.0.0.1:${port}`])
  for (const device of DEVICES) execFileSync('mosquitto_passwd', ['-b', join(out, 'passwd'), device, 'secret'])
  const gateway = spawn('mosquitto', ['-c', join(out, 'mosquitto.conf')], { stdio: 'ignore' })
  onTestFinished(() => void gateway.kill('SIGKILL'))
  return port
}

async function stored(server: Server, device: string): Promise<number[]> {
  const path = `/v1/devices/${device}/readings?limit=10000&epoch=ms`
  type Answer = { series: { points: [number, number][] }[]; next: string | null }
  const { series, next } = await call<Answer>(server, path)
  if (next !== null) throw new Error('more readings than were sent')
  return (series[0]?.points ?? []).map(([, value]) => value)
}

it('a site whose uplink is cut loses nothing', async () => {
  const authority = await TestAuthority.make()
  const { MQTT_TLS_CERT_FILE = '', MQTT_TLS_KEY_FILE = '' } = authority.folder.settings
  const tlsPort = await freePort()
  const env = { MQTT_TLS_PORT: String(tlsPort), MQTT_TLS_CERT_FILE, MQTT_TLS_KEY_FILE }
  const server = await startServer({ env })
  for (const device of DEVICES) {
    const [tenant, name] = device.split('/')
    await call(server, '/v1/devices', { tenant, device: name })
  }
  const uplink = await startUplink(tlsPort)
  const folder = tempFolder()
  // Started by root, Mosquitto runs as a user of its own.
  chmodSync(folder, 0o755)
  const port = await startGateway(folder, uplink.port, authority.ca, await makeLogin(server, folder))

  const sent = new Map(DEVICES.map((device) => [device, 0]))
  const clients = await Promise.all(
    DEVICES.map(async (username) => {
      const login = { port, host: '127.0.0.1', username, password: 'secret', reconnectPeriod: 0 }
      const client = await vi.waitFor(() => connectAsync(login), PATIENCE)
      onTestFinished(() => void client.end(true))
      return { username, client }
    }),
  )
  // Two of the same millisecond would be one.
  let ts = 0
  const publish = async (readings: number, overMs: number) => {
    const begin = Date.now()
    for (let done = 0; done < readings; done += 1) {
      await delay(Math.max(0, begin + (done * overMs) / readings - Date.now()))
      ts = Math.max(ts + 1, Date.now())
      for (const { username, client } of clients) {
        const count = (sent.get(username) ?? 0) + 1
        sent.set(username, count)
        await client.publishAsync(`t/${username}/telemetry`, JSON.stringify({ ts, n: count }), { qos: 1 })
      }
    }
  }
  const arrived = async (device: string) => expect(await stored(server, device)).toHaveLength(sent.get(device) ?? 0)
  await publish(60, 3_000)
  await vi.waitFor(() => arrived('north/pump-1'), { timeout: 60_000, interval: 500 })
  uplink.cut()
  await publish(READINGS, CUT_MS)
  expect((await stored(server, 'north/pump-1')).length).toBeLessThan(sent.get('north/pump-1') ?? 0)
  await uplink.mend()
  await publish(40, 2_000)
  for (const device of DEVICES) {
    await vi.waitFor(() => arrived(device), { timeout: 60_000, interval: 500 })
    const all = Array.from({ length: sent.get(device) ?? 0 }, (_, index) => index + 1)
    expect((await stored(server, device)).toSorted((a, b) => a - b)).toEqual(all)
  }

  // Commands come down, and nobody writes for another device.
  const [{ client, username } = { client: undefined, username: '' }] = clients
  if (client === undefined) throw new Error('there is no device')
  await client.subscribeAsync(`t/${username}/cmd/#`, { qos: 1 })
  const command = new Promise<string>((resolve) =>
    client.once('message', (_topic, payload) => resolve(String(payload))),
  )
  await vi.waitFor(async () => {
    await call(server, `/v1/devices/${username}/commands`, { name: 'go', payload: 'now' })
    expect(await Promise.race([command, delay(500)])).toBe('now')
  }, PATIENCE)
  // Mosquitto closes the connection of whom it refuses a message.
  const closed = once(client as never, 'close')
  client.on('error', () => undefined)
  client.publish('t/north/pump-2/telemetry', JSON.stringify({ n: -1 }))
  await closed
  await clients[1]?.client.publishAsync('t/north/pump-2/telemetry', JSON.stringify({ n: 0 }), { qos: 1 })
  await vi.waitFor(async () => expect(await stored(server, 'north/pump-2')).toContain(0), PATIENCE)
  expect(await stored(server, 'north/pump-2')).not.toContain(-1)
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  return port
}
