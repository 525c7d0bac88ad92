import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished, vi } from 'vitest'
import { ApiClient } from '../../shared/api-client.ts'
import { tempFolder } from '../helpers.ts'
import { PATIENCE } from '../patience.ts'
import { startServer, type ServerOptions } from './server.ts'

interface Login {
  readonly username: string
  readonly secret: string
  readonly token: string
}

async function setUp(options: ServerOptions = {}) {
  const server = await startServer(options)
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
  return { server, api, make, connect, values, expectValues }
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

it('a registry of yesterday gives a device that it does not know nothing of the one that had the name', async () => {
  const first = await setUp()
  const { folder } = first.server
  expect(await first.server.kill('SIGTERM')).toBe(0)
  const yesterday = join(tempFolder(), 'registry.db')
  const parts = ['', '-sums']
  for (const part of parts) cpSync(join(folder, `registry.db${part}`), `${yesterday}${part}`)

  const today = await setUp({ folder })
  const send = await today.connect(await today.make('late'))
  await send('late', 1)
  await today.expectValues('late', [1])
  expect(await today.server.kill('SIGTERM')).toBe(0)
  for (const part of parts) cpSync(`${yesterday}${part}`, join(folder, `registry.db${part}`))

  const restored = await setUp({ folder })
  const made = await restored.make('late')
  expect(await restored.values('late')).toEqual([])
  await (
    await restored.connect(made)
  )('late', 2)
  await restored.expectValues('late', [2])
  // What it had is there, for who asks for it by name.
  await (
    await restored.connect(await restored.make('again', 'late'))
  )('again', 3)
  await restored.expectValues('again', [1, 3])
  await restored.expectValues('late', [2])
})
