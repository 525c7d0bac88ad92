import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished, vi } from 'vitest'
import { ApiClient } from '../../shared/api-client.ts'
import { startServer } from './server.ts'

const PATIENCE = { timeout: 30_000, interval: 50 }

interface Login {
  readonly username: string
  readonly secret: string
  readonly token: string
}

async function setUp() {
  const server = await startServer()
  const api = new ApiClient(server)
  const make = (device: string, adopt?: string) => {
    return api.post<Login>('/v1/devices', { tenant: 'demo', device, ...(adopt === undefined ? {} : { adopt }) })
  }
  const connect = async ({ username, secret: password }: Login) => {
    const url = `mqtt://127.0.0.1:${server.mqttPort}`
    const client = await connectAsync(url, { username, password, reconnectPeriod: 0 }, false)
    onTestFinished(() => client.endAsync(true))
    return (name: string, v: number) => client.publishAsync(`t/demo/${name}/telemetry`, `{"v":${v}}`, { qos: 1 })
  }
  const values = async (device: string): Promise<unknown[]> => {
    const read = await api.get<{ series: { points: [number, unknown][] }[] }>(`/v1/devices/demo/${device}/readings`)
    return read.series.flatMap(({ points }) => points.map(([, value]) => value))
  }
  const expectValues = (device: string, expected: number[]) => {
    return vi.waitFor(async () => expect(await values(device)).toEqual(expected), PATIENCE)
  }
  return { server, api, make, connect, expectValues }
}

it('a device that is renamed keeps its readings, and its former topics until another one has the name', async () => {
  const { server, api, make, connect, expectValues } = await setUp()
  const login = await make('before')
  await (
    await connect(login)
  )('before', 1)
  const renamed = await api.post('/v1/devices/demo/before/rename', { device: 'after' })
  expect(renamed).toEqual({ tenant: 'demo', device: 'after', uid: 'before' })
  const publish = await connect(login)
  await publish('before', 2)
  await publish('after', 3)
  const url = `${server.url}/v1/devices/demo/before/readings`
  const post = (token: string, body: string) =>
    fetch(url, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body })
  expect((await post(login.token, '{"v":4}')).status).toBe(202)
  await expectValues('after', [1, 2, 3, 4])

  const other = await make('before')
  await (
    await connect(other)
  )('before', 10)
  // Acknowledged, and refused: it is the topic of another device now.
  await publish('before', 5)
  await publish('after', 6)
  expect((await post(login.token, '{"v":7}')).status).toBe(403)
  await expectValues('after', [1, 2, 3, 4, 6])
  await expectValues('before', [10])
  const audited = await api.get<{ entries: { action: string; subject: string; detail: string | null }[] }>('/v1/audit')
  const entry = { action: 'device.rename', subject: 'demo/before', detail: 'demo/after' }
  expect(audited.entries).toEqual(expect.arrayContaining([expect.objectContaining(entry)]))
})

it('a device takes on the readings of one that was removed', async () => {
  const { api, make, connect, expectValues } = await setUp()
  await (
    await connect(await make('old'))
  )('old', 1)
  await expectValues('old', [1])
  await api.delete('/v1/devices/demo/old')
  await expect(make('new', 'nothing')).rejects.toMatchObject({ code: 'not_found' })
  await (
    await connect(await make('new', 'old'))
  )('new', 2)
  await expectValues('new', [1, 2])
  await expect(make('third', 'old')).rejects.toMatchObject({ code: 'already_exists' })
})
