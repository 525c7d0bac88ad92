import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished, vi } from 'vitest'
import { ApiClient } from '../../shared/api-client.ts'
import { PATIENCE } from '../patience.ts'
import { startServer } from './server.ts'

interface Shown {
  readonly streams: readonly { readonly stream: string; readonly fields: readonly unknown[] }[]
  readonly moreFields: string | null
  readonly limits: readonly { readonly code: string; readonly limit: number }[]
}

const FIELDS = 1_500
/** Names that are new in each message. */
const made = (message: number): string =>
  JSON.stringify(Object.fromEntries(Array.from({ length: 1000 }, (_unused, i) => [`made-up-${message}-${i}`, i])))

it('a device that makes up names is told, bounded, and holds up nobody', async () => {
  const server = await startServer({ env: { INGEST_DEVICE_FIELDS: String(FIELDS) } })
  const api = new ApiClient(server)
  const connect = async (device: string) => {
    const login = await api.post<{ username: string; secret: string }>('/v1/devices', { tenant: 'demo', device })
    const url = `mqtt://127.0.0.1:${server.mqttPort}`
    const options = { username: login.username, password: login.secret, reconnectPeriod: 0 }
    const client = await connectAsync(url, options, false)
    onTestFinished(() => client.endAsync(true))
    return client
  }
  const flooding = await connect('flooding')
  const honest = await connect('honest')
  await flooding.subscribeAsync('t/demo/flooding/notice')
  const told = new Promise((resolve) => flooding.once('message', (_topic, payload) => resolve(String(payload))))
  for (let message = 0; message < 20; message += 1) {
    await flooding.publishAsync('t/demo/flooding/telemetry', made(message), { qos: 1 })
  }
  await honest.publishAsync('t/demo/honest/telemetry', '{"v":1}', { qos: 1 })
  const read = () => api.get<{ series: readonly unknown[] }>('/v1/devices/demo/honest/readings')
  await vi.waitFor(async () => expect((await read()).series).toHaveLength(1), PATIENCE)
  expect(JSON.parse(String(await told))).toMatchObject({ code: 'fields', limit: FIELDS })

  const shown = await api.get<Shown>('/v1/devices/demo/flooding')
  expect(shown.limits).toMatchObject([{ code: 'fields', limit: FIELDS }])
  expect(shown.streams.flatMap(({ fields }) => fields)).toHaveLength(1000)
  const query = `limit=1000&cursor=${shown.moreFields}`
  const rest = await api.get<Pick<Shown, 'streams'> & { next: null }>(`/v1/devices/demo/flooding/fields?${query}`)
  expect(rest.streams.flatMap(({ fields }) => fields)).toHaveLength(FIELDS - 1000)
  expect(rest.next).toBeNull()
  const letters = async () =>
    (await api.get<{ deadLetters: { code: string }[] }>('/v1/dead-letters?limit=1000')).deadLetters
  const expected = Array.from({ length: 19 }, () => 'series_limit')
  await vi.waitFor(async () => expect((await letters()).map(({ code }) => code)).toEqual(expected), PATIENCE)
})
