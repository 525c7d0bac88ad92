import { connectAsync } from 'mqtt'
import { expect, it, onTestFailed, onTestFinished } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import type { Member } from '../../../load-tests/cluster/member.ts'
import { lasting } from '../../long.ts'
import { LIMIT_MS, useServers } from './harness.ts'

/** Readings over MQTT; a tenth of them goes over HTTP beside them. `SLUICE_LONG=1` for what the figures say. */
const READINGS = lasting({ gate: 4_000, long: 100_000 })
const MQTT_AT_ONCE = 50
const HTTP_AT_ONCE = 4
const PATIENCE = { timeout: 120_000, interval: 500 }

const deployment = useServers()

interface Login {
  readonly username: string
  readonly secret: string
  readonly token: string
}

async function start() {
  onTestFailed(() => deployment.discard())
  const cluster = await deployment.clusterFor('stamps', { workers: 1, brokers: 3, apis: 2 })
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const device = `d${Date.now().toString(36)}`
  const login = await api.post<Login>('/v1/devices', { tenant: 'demo', device })
  return { cluster, api, device, login }
}

type Stage = Awaited<ReturnType<typeof start>>

/** Sends values until there are enough, so many at a time; who sends the next one has it for itself. */
async function sendAll(values: Iterator<number>, atOnce: number, send: (value: number) => Promise<void>) {
  const sendNext = async () => {
    for (let next = values.next(); next.done !== true; next = values.next()) await send(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, sendNext))
}

async function overMqtt({ device, login }: Stage, { ready }: Member, values: Iterator<number>): Promise<void> {
  const { username, secret: password } = login
  const client = await connectAsync(`mqtt://127.0.0.1:${ready.mqtt?.port}`, { username, password })
  onTestFinished(() => client.endAsync(true))
  const topic = `t/demo/${device}/telemetry`
  await sendAll(values, MQTT_AT_ONCE, async (value) => {
    await client.publishAsync(topic, `{"v":${value}}`, { qos: 1 })
  })
}

async function overHttp({ device, login }: Stage, { ready }: Member, values: Iterator<number>): Promise<void> {
  const url = `http://127.0.0.1:${ready.http?.port}/v1/devices/demo/${device}/readings`
  await sendAll(values, HTTP_AT_ONCE, async (value) => {
    const headers = { authorization: `Bearer ${login.token}`, 'content-type': 'application/json' }
    const answer = await fetch(url, { method: 'POST', body: `{"v":${value}}`, headers })
    expect(answer.status).toBe(202)
  })
}

/** Every value that is stored. */
async function stored({ api, device }: Stage): Promise<Set<number>> {
  type Page = {
    readonly series?: readonly { readonly points: readonly (readonly [unknown, number])[] }[]
    next: string | null
  }
  const found = new Set<number>()
  for (let cursor: string | undefined; ;) {
    const query = { field: 'v', from: '0', limit: '10000', ...(cursor === undefined ? {} : { cursor }) }
    const page = await api.get<Page>(`/v1/devices/demo/${device}/readings`, query)
    for (const { points } of page.series ?? []) for (const [, value] of points) found.add(value)
    if (page.next === null) return found
    cursor = page.next
  }
}

function* numbers(from: number, count: number): Generator<number, undefined> {
  for (let n = from; n < from + count; n++) yield n
}

it(
  'one device on three brokers and two APIs sends readings without a time: none overwrites another',
  { timeout: LIMIT_MS },
  async () => {
    const stage = await start()
    const { brokers, apis } = stage.cluster
    const each = Math.floor((READINGS * 0.9) / brokers.length)
    const overApi = Math.floor((READINGS * 0.1) / apis.length)
    await Promise.all([
      ...brokers.map((broker, index) => overMqtt(stage, broker, numbers(index * each, each))),
      ...apis.map((api, index) => overHttp(stage, api, numbers(brokers.length * each + index * overApi, overApi))),
    ])
    await expect
      .poll(async () => (await stored(stage)).size, PATIENCE)
      .toBe(brokers.length * each + apis.length * overApi)
  },
)

it('a second process with the name of a live one waits and says so, and has the slot when the first one ends', async () => {
  const { cluster } = await start()
  const [one, two] = ['one', 'two'].map((name) => cluster.addBroker(name, { NODE_ID: 'twin' }))
  if (one === undefined || two === undefined) throw new Error('two were made')
  await one.start()
  const says = two.says('node_name_taken')
  const starting = two.start()
  await says
  expect(await one.readiness()).toMatchObject({ ready: true })
  await one.stop('SIGTERM')
  await starting
  // Whoever is killed has it again, too.
  await two.stop('SIGKILL')
  await two.start()
  expect(await two.metric('sluice_stamps_stopped')).toBe(0)
  expect(await two.metric('sluice_stamps_slots_free')).toBe(64 - 6)
  await two.stop('SIGTERM')
}, 240_000)
