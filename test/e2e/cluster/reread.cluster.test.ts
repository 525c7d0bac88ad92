import { connectAsync } from 'mqtt'
import { expect, it, onTestFailed, vi } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { wallText } from '../../unit/shared/decoders/local-clocks.ts'
import { LIMIT_MS, useServers } from './harness.ts'

const deployment = useServers()
const DEVICES = ['a', 'b', 'c']
const ZONE = 'Europe/Berlin'
/** A reading a minute through the hour that comes twice, and ten before. */
const MADE = Array.from({ length: 130 }, (_, i) => Date.parse('2025-10-25T23:50:00Z') + i * 60_000)
const WAIT = { timeout: 120_000, interval: 200 }

type Points = [number, unknown][]

interface Job {
  readonly id: number
  readonly state: string
  readonly counts: Readonly<Record<string, number>>
  readonly endedAt: string | null
}

/** Kafka, InfluxDB and MariaDB, with each device's owner in one of two workers. */
it('a zone that is declared later moves readings once, and is in force then', { timeout: LIMIT_MS }, async () => {
  onTestFailed(() => deployment.discard())
  const cluster = await deployment.clusterFor('reread', { workers: 2, brokers: 1, apis: 1 })
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const tenant = `z${Date.now().toString(36)}`
  const port = cluster.brokers[0]?.ready.mqtt?.port ?? 0
  const clients = await Promise.all(
    DEVICES.map(async (device) => {
      const login = await api.post<{ username: string; secret: string }>('/v1/devices', { tenant, device })
      const client = await connectAsync({ port, username: login.username, password: login.secret })
      const send = async () => {
        for (const [v, at] of MADE.entries()) {
          const body = JSON.stringify({ Time: wallText(ZONE, at), v, word: `w${v}` })
          await client.publishAsync(`t/${tenant}/${device}/telemetry`, body, { qos: 1 })
        }
      }
      return { client, send }
    }),
  )
  const stored = async (device: string): Promise<Record<string, Points>> => {
    const path = `/v1/devices/${tenant}/${device}/readings`
    const { series } = await api.get<{ series: { field: string; points: Points }[] }>(path, { limit: 10_000 })
    return Object.fromEntries(series.map(({ field, points }) => [field, points]))
  }
  const reread = async () => {
    const { job } = await api.post<{ job: Job }>('/v1/policies/reread', { tenant, zone: ZONE })
    return vi.waitFor(async () => {
      const now = await api.get<Job>(`/v1/jobs/${job.id}`)
      expect(now.endedAt).not.toBeNull()
      return now
    }, WAIT)
  }
  const expected = {
    Time: MADE.map((at) => [at, wallText(ZONE, at)]),
    v: MADE.map((at, v) => [at, v]),
    word: MADE.map((at, v) => [at, `w${v}`]),
  }

  await Promise.all(clients.map(({ send }) => send()))
  for (const device of DEVICES) {
    await vi.waitFor(async () => expect((await stored(device))['v']).toHaveLength(MADE.length), WAIT)
  }
  const job = await reread()
  expect(job).toMatchObject({ state: 'done', counts: { moved: DEVICES.length * MADE.length, taken: 0, done: 0 } })
  for (const device of DEVICES) expect(await stored(device)).toEqual(expected)
  expect((await reread()).counts).toMatchObject({ moved: 0, taken: 0, done: job.counts['moved'] })
  for (const device of DEVICES) expect(await stored(device)).toEqual(expected)
  await Promise.all(clients.map(({ client }) => client.endAsync()))
})
