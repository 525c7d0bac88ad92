import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { InfluxDB, Point } from '@influxdata/influxdb-client'
import { FieldType, InfluxDB as InfluxDB1 } from 'influx'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { installInfluxdb1, startInfluxdb1, type Influxdb1 } from '../../load-tests/servers/influxdb1.ts'
import { installPythonWriters } from '../../load-tests/servers/python-writers.ts'
import { freePorts } from '../../load-tests/servers/server-process.ts'
import { installTelegraf, startTelegraf } from '../../load-tests/servers/telegraf.ts'
import { tempFolder } from '../helpers.ts'
import { lasting } from '../long.ts'
import { countOf, valuesOfInfluxdb, valuesOfSluice } from './influx-writers.ts'
import { startServer, type Server } from './server.ts'

/** How long Sluice is away: as long as the issue says, or in the gate for some tries of the writer. */
const AWAY_MS = lasting({ gate: 4_000, long: 300_000 })
/** Telegraf keeps 10,000 by default while its output is away. */
const LINES = 3_000
const T = Date.UTC(2026, 0, 31, 12)

beforeAll(async () => {
  await installInfluxdb1()
  await installPythonWriters()
  await installTelegraf()
})

/** An InfluxDB 1.6 of this test. */
async function openInfluxdb(): Promise<Influxdb1> {
  const influxdb = await startInfluxdb1(tempFolder())
  onTestFinished(() => influxdb.stop())
  return influxdb
}

/** The token of an application that writes to a tenant and makes its devices. */
async function applicationOf({ url, token }: Server, tenant: string): Promise<string> {
  const rules = [{ effect: 'allow', action: 'publish', topic: `t/${tenant}/+/telemetry/#` }]
  const answer = await fetch(`${url}/v1/applications`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: tenant, rules, createsDevices: true }),
  })
  return ((await answer.json()) as { token: string }).token
}

async function expectEqual(
  { server, influxdb }: { server: Server; influxdb: Influxdb1 },
  tenants: readonly string[],
  database: string,
  count: number,
) {
  const written = await valuesOfInfluxdb(influxdb, database)
  expect(countOf(written)).toBe(count)
  for (const tenant of tenants) {
    await expect.poll(async () => countOf(await valuesOfSluice(server, tenant)), { timeout: 60_000 }).toBe(count)
    expect(await valuesOfSluice(server, tenant)).toEqual(written)
  }
}

/** A line of a fleet: floats, integers, booleans and texts, of ten devices and four processors. */
function line(n: number): string {
  const text = n % 7 === 0 ? ',note="a \\"b\\", c=d é"' : ''
  return `cpu\\ load,host=web-${n % 10},cpu=cpu${n % 4},dc=a\\ b usage=${n / 8},count=${n}i,on=${n % 2 === 0}${text} ${T + n}000000\n`
}
const VALUES_OF_A_LINE = 3

it('Telegraf writes the same with both of its outputs as into InfluxDB, while Sluice is away for a time', async () => {
  const influxdb = await openInfluxdb()
  const [httpPort = 0, listener = 0] = await freePorts(2)
  const folder = tempFolder()
  let server = await startServer({ httpPort, folder })
  const [one, two] = [await applicationOf(server, 'one'), await applicationOf(server, 'two')]
  const telegraf = await startTelegraf(tempFolder(), {
    name: 'telegraf',
    readyLine: 'Listening on tcp',
    config: `[agent]
flush_interval = "1s"
[[inputs.socket_listener]]
service_address = "tcp://127.0.0.1:${listener}"
data_format = "influx"
[[outputs.influxdb]]
urls = ["${influxdb.url}"]
[[outputs.influxdb]]
urls = ["${server.url}"]
username = "telegraf"
password = "${one}"
[[outputs.influxdb_v2]]
urls = ["${server.url}"]
token = "${two}"
organization = "any"
bucket = "any"
`,
  })
  onTestFinished(() => telegraf.stop())
  const socket = connect(listener, '127.0.0.1')
  const send = (from: number) =>
    new Promise<void>((resolve, reject) =>
      socket.write(Array.from({ length: LINES }, (_, n) => line(from + n)).join(''), (error) =>
        error === undefined || error === null ? resolve() : reject(error),
      ),
    )
  onTestFinished(() => void socket.destroy())
  await send(0)
  await expect.poll(async () => countOf(await valuesOfSluice(server, 'two')), { timeout: 60_000 }).toBeGreaterThan(0)
  await server.kill('SIGKILL')
  await send(LINES)
  await delay(AWAY_MS)
  server = await startServer({ httpPort, folder })
  await send(2 * LINES)
  const texts = Math.ceil((3 * LINES) / 7)
  const count = 3 * LINES * VALUES_OF_A_LINE + texts
  await expect.poll(async () => countOf(await valuesOfInfluxdb(influxdb, 'telegraf')), { timeout: 60_000 }).toBe(count)
  await expectEqual({ server, influxdb }, ['one', 'two'], 'telegraf', count)
}, 900_000)

/** States of a house as Home Assistant writes them. */
function states(count: number) {
  return Array.from({ length: count }, (_, n) => ({
    measurement: n % 2 === 0 ? '°C' : 'binary_sensor.door',
    tags: { domain: n % 2 === 0 ? 'sensor' : 'binary_sensor', entity_id: `room_${n % 5}` },
    time: T + n,
    fields: { value: n + 0.5, friendly_name_str: `Küche "${n}", \\links`, whole: n, on: n % 3 === 0 },
  }))
}

it("Home Assistant's two libraries for Python write the same as into InfluxDB", async () => {
  const influxdb = await openInfluxdb()
  const server = await startServer()
  const token = await applicationOf(server, 'home')
  const env = { ...process.env, PYTHONPATH: await installPythonWriters() }
  const script = join(import.meta.dirname, 'influx-writers.py')
  const child = spawn('python3', [script, String(server.httpPort), token, String(influxdb.port)], { env })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  child.stdin.end(JSON.stringify(states(2_000)))
  const [code] = (await once(child, 'exit')) as [number]
  expect({ code, errors: code === 0 ? '' : errors }).toEqual({ code: 0, errors: '' })
  await expectEqual({ server, influxdb }, ['home'], 'home', 8_000)
}, 300_000)

it('the libraries for JavaScript write the same as into InfluxDB', async () => {
  const influxdb = await openInfluxdb()
  const server = await startServer()
  const [one, two] = [await applicationOf(server, 'one'), await applicationOf(server, 'two')]
  const points = states(1_000).map(({ measurement, tags, time, fields }) => ({
    measurement,
    tags,
    timestamp: time,
    fields,
  }))
  const schema = [
    {
      measurement: '°C',
      tags: ['domain', 'entity_id'],
      fields: {
        ...{ value: FieldType.FLOAT, friendly_name_str: FieldType.STRING },
        ...{ whole: FieldType.INTEGER, on: FieldType.BOOLEAN },
      },
    },
  ]
  for (const { port, password } of [
    { port: server.httpPort, password: one },
    { port: influxdb.port, password: 'none' },
  ]) {
    const client = new InfluxDB1({ host: '127.0.0.1', port, username: 'js', password, database: 'js', schema })
    expect((await client.ping(5_000))[0]?.online).toBe(true)
    await client.createDatabase('js')
    expect(await client.getDatabaseNames()).toBeTruthy()
    await client.writePoints(points, { precision: 'ms' })
  }
  const writer = new InfluxDB({ url: server.url, token: two }).getWriteApi('o', 'b', 'ms')
  for (const { measurement, tags, timestamp, fields } of points) {
    const point = new Point(measurement).timestamp(timestamp).floatField('value', fields.value)
    for (const [key, value] of Object.entries(tags)) point.tag(key, value)
    point.stringField('friendly_name_str', fields.friendly_name_str).booleanField('on', fields.on)
    writer.writePoint(
      measurement === '°C' ? point.intField('whole', fields.whole) : point.floatField('whole', fields.whole),
    )
  }
  await writer.close()
  await expectEqual({ server, influxdb }, ['one', 'two'], 'js', 4_000)
}, 300_000)
