import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished, vi } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { PATIENCE } from '../patience.ts'
import { startServer, type Server } from './server.ts'
import { sluice } from './sluice.ts'

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
  const expected = [['total', 'number', [1, '9007199254740993', 2.5, '9223372036854775807', 3]]]
  const check = async (server: Server) => {
    const headers = { authorization: `Bearer ${server.token}` }
    const url = `${server.url}/v1/devices/demo/meter/readings?field=total&kind=number`
    const { series } = (await (await fetch(url, { headers })).json()) as {
      series: { field: string; type: string; points: [number, unknown][] }[]
    }
    expect(series.map(({ field, type, points }) => [field, type, points.map(([, value]) => value)])).toEqual(expected)
  }
  await vi.waitFor(() => check(first), PATIENCE)
  expect(await sluice(first, 'audit')).toMatch(/types\.set +demo\/telemetry total/)
  await first.kill('SIGTERM')
  const again = await startServer({ folder: first.folder })
  await check(again)
  expect(await sluice(again, 'types', 'list')).toMatch(/^demo +telemetry +total +float/m)
})

it('hourly means of a field that was declared within an hour are of all of its numbers, for one device and for many', async () => {
  const server = await startServer()
  const headers = { authorization: `Bearer ${server.token}` }
  await sluice(server, 'devices', 'add', 'demo/meter')
  const noon = Date.UTC(2026, 0, 31, 12)
  const post = async (...readings: [minute: number, power: number][]) => {
    const body = JSON.stringify(readings.map(([minute, power]) => ({ ts: noon + minute * 60_000, power })))
    const path = `${server.url}/v1/devices/demo/meter/readings`
    expect((await fetch(path, { method: 'POST', headers, body })).status).toBe(202)
  }
  const get = async (path: string) => (await fetch(`${server.url}/v1/${path}`, { headers })).json()
  await post([10, 1.5], [20, 2], [100, 1])
  await sluice(server, 'types', 'set', 'demo', 'power', 'integer')
  await post([30, 5], [40, 3.5], [70, 2])
  const means = [
    [noon, 3],
    [noon + 3_600_000, 1.5],
  ]
  const query = 'interval=1h&aggregate=mean'
  const series = { stream: 'telemetry', field: 'power', type: 'float', points: means }
  await expect
    .poll(() => get(`devices/demo/meter/readings?field=power&${query}`), PATIENCE)
    .toMatchObject({ series: [series], complete: true })
  expect(await get(`tenants/demo/readings?fields=power&${query}`)).toMatchObject({
    series: [{ device: 'meter', ...series }],
    complete: true,
  })
})

it('a contract in a file declares before the first message, and a wrong one leaves it in force over a restart', async () => {
  const contracts = tempFolder()
  const write = (text: string) => {
    writeFileSync(join(contracts, 'demo.yaml'), `tenant: demo\nstreams:\n  telemetry:\n    power: ${text}\n`)
  }
  write('{unit: kW, name: Load, max: 5, outside: fault}')
  const env = { CONTRACT_FILES: contracts }
  const first = await startServer({ env })
  await sluice(first, 'devices', 'add', 'demo/meter')
  const check = async (server: Server, power: number) => {
    const headers = { authorization: `Bearer ${server.token}` }
    const post = (body: string) =>
      fetch(`${server.url}/v1/devices/demo/meter/readings`, { method: 'POST', headers, body })
    expect((await post(`{"power":${power},"n":${power}}`)).status).toBe(202)
    expect((await post(`{"power":7,"n":${power + 1}}`)).status).toBe(202)
    await expect
      .poll(async () => (await fetch(`${server.url}/v1/devices/demo/meter/latest`, { headers })).json(), PATIENCE)
      .toMatchObject({
        streams: [{ fields: { n: { value: power + 1 }, power: { value: power, unit: 'kW', name: 'Load' } } }],
      })
  }
  await check(first, 1)
  expect(await sluice(first, 'types', 'list')).toMatch(
    /^demo +telemetry +power +float +kW +Load +\.\.5 fault .* demo\.yaml:4$/m,
  )
  expect(await sluice(first, 'dead-letters', 'list')).toContain('7 is above the declared max 5')
  expect(await sluice(first, 'devices', 'show', 'demo/meter')).toMatch(/^telemetry +power +float +kW +Load$/m)
  await expect(sluice(first, 'types', 'set', 'demo', 'power', '--max', '9')).rejects.toThrow(
    'max is set by demo.yaml:4',
  )
  await first.kill('SIGTERM')
  write('{unit: kW, max: five}')
  const again = await startServer({ env, folder: first.folder })
  expect(again.log()).toContain('demo.yaml:4: streams.telemetry.power.max is \\"five\\"')
  await check(again, 3)
})
