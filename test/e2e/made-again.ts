import { connectAsync, type MqttClient } from 'mqtt'
import { vi } from 'vitest'
import type { ApiClient } from '../../shared/api-client.ts'
import { SluiceError } from '../../shared/errors.ts'
import { openEvents } from '../integration/query-api/event-reader.ts'

/** Where the devices are: with several brokers the new one logs in elsewhere than the old one. */
export interface Site {
  readonly api: ApiClient
  readonly url: string
  readonly token: string
  readonly mqttPorts: readonly number[]
}

interface Login {
  readonly username: string
  readonly secret: string
}

interface Fields {
  readonly streams: readonly { readonly fields: Readonly<Record<string, { readonly value: unknown }>> }[]
}

const PATIENCE = { timeout: 60_000, interval: 50 }
/** Acknowledged before the device is removed; more are on their way then. */
const ENOUGH = 20
/** Two fields of it are stored and one is refused. */
const OLD = '{"v":"old","old":1,"refused":1e999}'

/** Makes devices, removes each in the middle of its sending and makes it again at once; gives the names. */
export async function makeAgain(site: Site, prefix: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, n) => `${prefix}${n}`)
  for (const [n, device] of names.entries()) {
    const old = await connect(site, n, await site.api.post<Login>('/v1/devices', { tenant: 'demo', device }))
    const acked = sendUntilClosed(old, `t/demo/${device}/telemetry`)
    await vi.waitUntil(() => acked() >= ENOUGH, PATIENCE)
    const removed = site.api.delete(`/v1/devices/demo/${device}`)
    const login = await madeAtLast(site, device)
    await removed
    await sendNew(site, n + 1, login, device)
    await old.endAsync(true)
  }
  return names
}

/** What devices have that is not theirs, and which of them have nothing of their own. */
export async function notTheirs(site: Site, names: readonly string[]): Promise<string[]> {
  const wrong: string[] = []
  for (const device of names) {
    const path = `/v1/devices/demo/${device}`
    const shown = await vi.waitUntil(async () => {
      const { streams } = await site.api.get<Fields>(`${path}/latest`)
      return streams.length > 0 ? streams : undefined
    }, PATIENCE)
    for (const [field, { value }] of shown.flatMap(({ fields }) => Object.entries(fields))) {
      if (field !== 'v' || value !== 'new') wrong.push(`${device}: latest ${field} ${String(value)}`)
    }
    const read = await site.api.get<{ series: { field: string; points: [number, unknown][] }[] }>(`${path}/readings`)
    for (const { field, points } of read.series) {
      for (const [, value] of points) if (value !== 'new') wrong.push(`${device}: ${field} ${String(value)}`)
    }
    if (!read.series.some(({ field }) => field === 'v')) wrong.push(`${device}: nothing of its own`)
    const live = await openEvents(`${site.url}/v1/stream?tenant=demo&device=${device}`, site.token)
    await site.api.post(`${path}/readings`, { v: 'new' })
    for (const { event } of await live.until(({ event }) => event === 'reading')) {
      if (event !== 'reading') wrong.push(`${device}: ${event}`)
    }
    live.close()
  }
  return [...new Set(wrong)]
}

function connect({ mqttPorts }: Site, node: number, { username, secret }: Login): Promise<MqttClient> {
  const url = `mqtt://127.0.0.1:${mqttPorts[node % mqttPorts.length]}`
  return connectAsync(url, { username, password: secret, reconnectPeriod: 0 }, false)
}

function sendUntilClosed(client: MqttClient, topic: string): () => number {
  let acked = 0
  let isOpen = true
  client.once('close', () => (isOpen = false))
  const send = async (): Promise<void> => {
    while (isOpen) {
      await client.publishAsync(topic, OLD, { qos: 1 })
      acked += 1
    }
  }
  // The connection ends in the middle of a message, of which nothing more is heard.
  send().catch(() => (isOpen = false))
  return () => acked
}

async function madeAtLast({ api }: Site, device: string): Promise<Login> {
  for (;;) {
    try {
      return await api.post<Login>('/v1/devices', { tenant: 'demo', device })
    } catch (error) {
      if (!(error instanceof SluiceError) || error.code !== 'already_exists') throw error
    }
  }
}

/** The end of the old login may close the first connection of the new one. */
async function sendNew(site: Site, node: number, login: Login, device: string): Promise<void> {
  await vi.waitFor(async () => {
    const client = await connect(site, node, login)
    try {
      await client.publishAsync(`t/demo/${device}/telemetry`, '{"v":"new"}', { qos: 1 })
    } finally {
      await client.endAsync(true)
    }
  }, PATIENCE)
}
