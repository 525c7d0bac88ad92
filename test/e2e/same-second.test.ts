import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished, vi } from 'vitest'
import { ApiClient } from '../../shared/api-client.ts'
import { tempFolder } from '../helpers.ts'
import { PATIENCE } from '../patience.ts'
import { startServer } from './server.ts'

/** A whole second, as a device sends it that knows no smaller ones. */
const SECOND = 1_769_860_800

type Points = readonly (readonly [string, unknown])[]

async function start(folder: string, everyMs: number, entry: string | undefined, login?: Login) {
  const server = await startServer({
    folder,
    env: { INGEST_CHECKPOINT_MS: String(everyMs) },
    ...(entry === undefined ? {} : { entry }),
  })
  const api = new ApiClient(server)
  const made = login ?? (await api.post<Login>('/v1/devices', { tenant: 'demo', device: 'door' }))
  const url = `mqtt://127.0.0.1:${server.mqttPort}`
  const options = { username: made.username, password: made.secret, reconnectPeriod: 0 }
  const client = await connectAsync(url, options, false)
  client.on('error', () => undefined) // the process is killed
  onTestFinished(() => client.endAsync(true))
  const publish = (reading: object) => {
    return client.publishAsync('t/demo/door/telemetry', JSON.stringify({ ts: SECOND, ...reading }), { qos: 1 })
  }
  const points = async (field: string): Promise<Points> => {
    const query = `field=${field}&epoch=rfc3339&limit=1000`
    const read = await api.get<{ series: { points: Points }[] }>(`/v1/devices/demo/door/readings?${query}`)
    return read.series.flatMap((one) => one.points)
  }
  const waiting = async (): Promise<number> => {
    const { partitions } = await api.get<{ partitions: { records: number }[] }>('/v1/log')
    return partitions.reduce((sum, { records }) => sum + records, 0)
  }
  return { server, login: made, publish, points, waiting }
}

interface Login {
  readonly username: string
  readonly secret: string
}

const at = (n: number): string => `2026-01-31T12:00:00${n === 0 ? '' : `.${String(n).padStart(9, '0')}`}Z`

/** Texts and booleans of one second, each sent twice, over some kills; and what is stored of them in the end. */
async function storedOverKills(kills: number, entry?: string): Promise<{ stored: Points[]; expected: Points[] }> {
  const folder = tempFolder()
  const states: [string, unknown][] = []
  let login: Login | undefined
  for (let life = 0; life <= kills; life += 1) {
    const {
      server,
      login: made,
      publish,
      points,
      waiting,
    } = await start(folder, life % 2 === 0 ? 20 : 5000, entry, login)
    login = made
    for (let n = 0; n < 6; n += 1) {
      const reading = { state: `state ${life} ${n}`, open: n % 2 === 0 }
      states.push([at(states.length), reading.state])
      await publish(reading)
      await publish(reading)
    }
    if (life === kills) {
      await publish({ level: 1 })
      await publish({ level: 2 })
      await vi.waitFor(async () => expect(await points('level')).toEqual([[at(0), 2]]), PATIENCE)
      const expected = [states, states.map(([time], n): [string, unknown] => [time, n % 2 === 0])]
      return { stored: [await points('state'), await points('open')], expected }
    }
    // Behind a commit of everything, or with as much as possible that is read again.
    if (life % 2 === 0) await vi.waitFor(async () => expect(await waiting()).toBe(0), PATIENCE)
    else await vi.waitFor(async () => expect(await points('state')).toHaveLength(states.length), PATIENCE)
    await server.kill('SIGKILL')
  }
  throw new RangeError('there is always a last life')
}

it('texts and booleans of one second are all there, once, in their order, whenever the process is killed', async () => {
  const { stored, expected } = await storedOverKills(3)
  expect(stored).toEqual(expected)
})

it('and are not where that is decided from memory only', async () => {
  const { stored, expected } = await storedOverKills(1, 'test/variants/standalone-forgetting-values.ts')
  expect(stored).not.toEqual(expected)
})
