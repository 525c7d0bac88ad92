import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished, vi } from 'vitest'
import { PATIENCE } from '../patience.ts'
import { startServer, type Server } from './server.ts'

const root = join(import.meta.dirname, '../..')

function sluice({ folder, httpPort }: Server, ...args: string[]): Promise<string> {
  const env = { ...process.env, DATA_DIR: folder, HTTP_PORT: String(httpPort) }
  return new Promise((resolve, reject) => {
    execFile(join(root, 'sluice'), args, { cwd: root, env }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(stderr, { cause: error }))
    })
  })
}

it('a field that was declared to have integers has them exactly, over MQTT, HTTP, the command line and a restart', async () => {
  const first = await startServer()
  const login = JSON.parse(await sluice(first, 'devices', 'add', 'demo/meter', '--json')) as Record<string, string>
  const mqtt = await connectAsync(`mqtt://127.0.0.1:${first.mqttPort}`, {
    username: login['username'] ?? '',
    password: login['secret'] ?? '',
    reconnectPeriod: 0,
  })
  onTestFinished(() => mqtt.endAsync(true))
  const publish = async (total: string) => {
    await mqtt.publishAsync('t/demo/meter/telemetry', `{"total":${total}}`, { qos: 1 })
  }
  await publish('1')
  expect(await sluice(first, 'types', 'set', 'demo', 'total', 'integer')).toContain(
    'total in telemetry of demo are integers',
  )
  await publish('9007199254740993')
  await publish('2.5')
  await publish('9223372036854775807')
  expect(await sluice(first, 'types', 'list')).toMatch(/^demo +telemetry +total +integer +\S+ +admin$/m)
  await sluice(first, 'types', 'forget', 'demo', 'total')
  await publish('3')
  const expected = { integer: ['9007199254740993', '9223372036854775807'], float: [1, 2.5, 3] }
  const check = async (server: Server) => {
    const headers = { authorization: `Bearer ${server.token}` }
    const url = `${server.url}/v1/devices/demo/meter/readings?field=total&kind=number`
    const { series } = (await (await fetch(url, { headers })).json()) as {
      series: { field: string; type: string; points: [number, unknown][] }[]
    }
    expect(new Set(series.map(({ field }) => field))).toEqual(new Set(['total']))
    const byType = series.map(({ type, points }) => [type, points.map(([, value]) => value)])
    expect(Object.fromEntries(byType)).toEqual(expected)
  }
  await vi.waitFor(() => check(first), PATIENCE)
  expect(await sluice(first, 'audit')).toMatch(/types\.set +demo\/telemetry total/)
  await first.kill('SIGTERM')
  const again = await startServer({ folder: first.folder })
  await check(again)
  expect(await sluice(again, 'types', 'list')).toMatch(/^demo +telemetry +total +float/m)
})
