import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { ApiClient, devicePath } from '../../shared/api-client.ts'
import { DEVICES, history, REFUSED, SMALL, STREAMS, tailReading, TENANTS, WITHOUT_TIME } from './history.ts'
import type { Target } from './target.ts'

/** Messages of a client that wait for their acknowledgement at the same time. */
const WINDOW = 32
const CONNECT_MS = 30_000
export const TAIL = 400

/** A login as its owner keeps it. */
export interface Login {
  readonly username: string
  readonly secret: string
  /** Bearer token, for HTTP. */
  readonly token: string
  /** One that is replaced or disabled. */
  readonly refused?: boolean
}

export type Logins = Readonly<Record<string, Login>>

export const deviceNames = TENANTS.flatMap((tenant) => DEVICES.map((device) => ({ tenant, device })))
export const apiOf = ({ url, token }: Target): ApiClient => new ApiClient({ url, token })
export const telemetryTopic = (tenant: string, device: string, stream?: string): string =>
  ['t', tenant, device, 'telemetry', ...(stream === undefined ? [] : [stream])].join('/')

/** Tenants, devices, an application, provisioning keys, credentials that were rotated and logins that are disabled. */
export async function makeLogins(target: Target): Promise<Logins> {
  const api = apiOf(target)
  const logins: Record<string, Login> = {}
  for (const { tenant, device } of deviceNames) {
    const made = await api.post<Login>('/v1/devices', { tenant, device, tags: { hall: device.slice(-1), ort: 'Köln' } })
    logins[`${tenant}/${device}`] = made
  }
  const rules = [
    { effect: 'deny', action: 'subscribe', topic: 't/south/#' },
    { effect: 'allow', action: 'subscribe', topic: 't/+/+/telemetry/#' },
    { effect: 'allow', action: 'publish', topic: 't/north/#' },
  ]
  logins['dashboard'] = await api.post<Login>('/v1/applications', { name: 'dashboard', rules })
  const replaced = logins['south/pump-2']
  const rotated = await api.post<Login>(`${devicePath('south', 'pump-2')}/rotate`, { overlapSeconds: 0 })
  if (replaced !== undefined) logins['south/pump-2 replaced'] = { ...replaced, refused: true }
  logins['south/pump-2'] = { ...rotated, username: 'south/pump-2' }
  const spare = await api.post<Login>('/v1/devices', { tenant: 'south', device: 'spare' })
  logins['south/spare'] = { ...spare, refused: true }
  await api.post(`${devicePath('south', 'spare')}/disable`, undefined)
  await api.post('/v1/claim-keys', { tenant: 'north', maxUses: 5, tags: { batch: '7' } })
  return logins
}

/** What becomes old: readings of three months, and streams of every kind. */
export async function sendHistory(target: Target, logins: Logins, size = SMALL): Promise<void> {
  const each = deviceNames.map(async ({ tenant, device }) => {
    const client = await connect(target, logins[`${tenant}/${device}`])
    await publishAll(client, telemetryTopic(tenant, device), history(size))
    for (const { stream, payload } of STREAMS) {
      await client.publishAsync(telemetryTopic(tenant, device, stream), payload, { qos: 1 })
    }
    await client.endAsync()
  })
  await Promise.all(each)
}

/** What is recent: readings without a time over MQTT and HTTP, and what is refused by broker and worker. */
export async function sendRecent(target: Target, logins: Logins): Promise<void> {
  for (const { tenant, device } of deviceNames) {
    const client = await connect(target, logins[`${tenant}/${device}`])
    for (const payload of WITHOUT_TIME) {
      await client.publishAsync(telemetryTopic(tenant, device, 'tank'), payload, { qos: 2 })
    }
    for (const payload of device === 'pump-1' ? REFUSED : []) {
      await client.publishAsync(telemetryTopic(tenant, device), payload, { qos: 1 })
    }
    // Of another tenant: refused by the broker.
    await client.publishAsync(`t/${tenant}x/${device}/telemetry`, '{"a":1}', { qos: 1 })
    await client.endAsync()
    await post(target, devicePath(tenant, device, '/readings?stream=tank'), WITHOUT_TIME[1] ?? '')
  }
  await connect(target, { username: 'north/pump-1', secret: 'wrong' }).then(
    () => Promise.reject(new Error('a wrong secret was taken')),
    () => undefined,
  )
}

/** Resolves when the last of the messages is acknowledged; the client stays connected. */
export async function sendTail(target: Target, logins: Logins, count = TAIL): Promise<MqttClient> {
  const client = await connect(target, logins['north/pump-1'])
  const payloads = Array.from({ length: count }, (_, n) => tailReading(n))
  await publishAll(client, telemetryTopic('north', 'pump-1', 'tail'), payloads)
  return client
}

/** A connected client. Rejects when it is refused. */
export async function connect(
  { mqttPorts: [port = 0] }: Pick<Target, 'mqttPorts'>,
  login: Pick<Login, 'username' | 'secret'> | undefined,
  options: IClientOptions = {},
): Promise<MqttClient> {
  if (login === undefined) throw new Error('there is no such login')
  const { username, secret: password } = login
  const defaults = { reconnectPeriod: 0, connectTimeout: CONNECT_MS }
  return mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { ...defaults, username, password, ...options })
}

async function publishAll(client: MqttClient, topic: string, payloads: Iterable<string>): Promise<void> {
  const waiting: Promise<unknown>[] = []
  for (const payload of payloads) {
    if (waiting.length === WINDOW) await waiting.shift()
    waiting.push(client.publishAsync(topic, payload, { qos: 1 }))
  }
  await Promise.all(waiting)
}

async function post({ url, token }: Target, path: string, body: string): Promise<void> {
  const response = await fetch(url + path, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body })
  if (response.status !== 202) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`)
}
