import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished, vi } from 'vitest'
import { ApiClient } from '../../shared/api-client.ts'
import { PATIENCE } from '../patience.ts'
import { startServer } from './server.ts'

interface Login {
  readonly username: string
  readonly secret: string
  readonly token: string
}

const ALLOW = [{ effect: 'allow', action: 'publish', topic: 't/home/+/telemetry/#' }]

async function setUp() {
  const server = await startServer()
  const api = new ApiClient(server)
  const gateway = async (name: string, createsDevices: boolean) => {
    const login = await api.post<Login>('/v1/applications', { name, rules: ALLOW, createsDevices })
    const url = `mqtt://127.0.0.1:${server.mqttPort}`
    const client = await connectAsync(
      url,
      { username: login.username, password: login.secret, reconnectPeriod: 0 },
      false,
    )
    onTestFinished(() => client.endAsync(true))
    const publish = (device: string, v: number) =>
      client.publishAsync(`t/home/${device}/telemetry`, `{"v":${v}}`, { qos: 1 })
    const post = (device: string, v: number) => {
      const headers = { authorization: `Bearer ${login.token}` }
      const body = `{"v":${v}}`
      return fetch(`${server.url}/v1/devices/home/${device}/readings`, { method: 'POST', headers, body })
    }
    return { publish, post }
  }
  const values = async (device: string) => {
    const read = await api.get<{ series: { points: [number, number][] }[] }>(`/v1/devices/home/${device}/readings`)
    return read.series.flatMap(({ points }) => points.map(([, value]) => value))
  }
  const pending = async () => {
    const answer = await api.get<{ pending: { device: string; times: number; detail: string }[] }>(
      '/v1/devices/pending',
    )
    return answer.pending.map(({ device, times, detail }) => ({ device, times, detail }))
  }
  return { api, gateway, values, pending }
}

it('readings for a device that nobody made are refused over MQTT and HTTP alike, and wait as pending', async () => {
  const { api, gateway, values, pending } = await setUp()
  const { publish, post } = await gateway('plain', false)
  await publish('lamp', 1)
  await publish('lamp', 2)
  const refused = await post('lamp', 3)
  expect(refused.status).toBe(404)
  expect(await refused.json()).toMatchObject({ code: 'device_unknown' })
  await vi.waitFor(async () => expect(await pending()).toMatchObject([{ device: 'lamp', times: 3 }]), PATIENCE)
  expect((await post('stove', 1)).status).toBe(404)
  const devices = async () => (await pending()).map(({ device }) => device).toSorted()
  await vi.waitFor(async () => expect(await devices()).toEqual(['lamp', 'stove']), PATIENCE)
  await api.post('/v1/devices', { tenant: 'home', device: 'lamp' })
  // The same connection, at once.
  await publish('lamp', 4)
  expect((await post('lamp', 5)).status).toBe(202)
  await vi.waitFor(async () => expect(await values('lamp')).toEqual([4, 5]), PATIENCE)
  expect(await devices()).toEqual(['stove'])
  await api.delete('/v1/devices/home/lamp')
  await publish('lamp', 6)
  await vi.waitFor(async () => expect(await devices()).toEqual(['lamp', 'stove']), PATIENCE)
})

it('a login that makes devices makes them, never one that was removed', async () => {
  const { api, gateway, values, pending } = await setUp()
  const { publish, post } = await gateway('maker', true)
  await Promise.all([publish('a', 1), publish('a', 2), publish('b', 1), post('c', 1)])
  await publish('c', 2)
  for (const [device, expected] of Object.entries({ a: [1, 2], b: [1], c: [1, 2] })) {
    await vi.waitFor(async () => expect(await values(device)).toEqual(expected), PATIENCE)
  }
  const { entries } = await api.get<{ entries: { who: string; action: string; subject: string }[] }>('/v1/audit')
  const made = entries.filter(({ who, action }) => who === 'maker' && action === 'device.create')
  expect(made.map(({ subject }) => subject).sort()).toEqual(['home/a', 'home/b', 'home/c'])
  await api.delete('/v1/devices/home/b')
  await publish('b', 9)
  expect((await post('b', 9)).status).toBe(404)
  await vi.waitFor(async () => expect((await pending()).map(({ device }) => device)).toEqual(['b']), PATIENCE)
  const shown = await api.get<{ applications: { createsDevices: boolean }[] }>('/v1/applications')
  expect(shown.applications).toMatchObject([{ createsDevices: true }])
})
