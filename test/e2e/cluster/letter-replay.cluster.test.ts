import { connectAsync } from 'mqtt'
import { expect, it, onTestFailed, vi } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { LIMIT_MS, useServers } from './harness.ts'

const deployment = useServers()
const DEVICES = ['a', 'b', 'c']
const MESSAGES = 40
const AHEAD = Date.now() + 2 * 86_400_000
const WAIT = { timeout: 120_000, interval: 200 }

interface Job {
  readonly id: number
  readonly state: string
  readonly counts: Readonly<Record<string, number>>
  readonly endedAt: string | null
}

/** Kafka, InfluxDB and MariaDB, with each device's owner in one of two workers. */
it('a replay stores what letters name once, beside what was sent meanwhile', { timeout: LIMIT_MS }, async () => {
  onTestFailed(() => deployment.discard())
  const cluster = await deployment.clusterFor('letter-replay', { workers: 2, brokers: 1, apis: 1 })
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const tenant = `r${Date.now().toString(36)}`
  const port = cluster.brokers[0]?.ready.mqtt?.port ?? 0
  const clients = await Promise.all(
    DEVICES.map(async (device) => {
      const { username, secret } = await api.post<{ username: string; secret: string }>('/v1/devices', {
        tenant,
        device,
      })
      const client = await connectAsync({ port, username, password: secret })
      return {
        client,
        send: (body: object) =>
          client.publishAsync(`t/${tenant}/${device}/telemetry`, JSON.stringify(body), { qos: 1 }),
      }
    }),
  )
  for (const { send } of clients) {
    // A number, a text, a truth value, and an integer that no double holds.
    for (let v = 0; v < MESSAGES; v++) await send({ ts: AHEAD + v, v, word: `w${v}`, on: v % 2 === 0, n: 9_007_199_254_740_993n.toString() }) // prettier-ignore
  }
  const stored = async (device: string) => {
    const path = `/v1/devices/${tenant}/${device}/readings`
    const { series } = await api.get<{ series: { field: string; points: [number, unknown][] }[] }>(path, {
      limit: 10_000,
    })
    return Object.fromEntries(series.map(({ field, points }) => [field, points.map(([ms, v]) => [ms - AHEAD, v])]))
  }
  const ended = async ({ id }: Job) =>
    vi.waitFor(async () => {
      const job = await api.get<Job>(`/v1/jobs/${id}`)
      expect(job.endedAt).not.toBeNull()
      return job
    }, WAIT)
  const replay = async () => ended((await api.post<{ job: Job }>('/v1/dead-letters/replay', { tenant })).job)

  const letters = async () => {
    const { deadLetters } = await api.get<{ deadLetters: unknown[] }>('/v1/dead-letters', { tenant, limit: 1000 })
    return deadLetters.length
  }
  await vi.waitFor(async () => expect(await letters()).toBe(DEVICES.length * MESSAGES), WAIT)
  await api.put(`/v1/policies?tenant=${tenant}`, { revision: 0, document: { time_future: 'accept' } })
  // Corrected by the device itself, once the policy holds at its broker; until then a correction is one more letter.
  for (const [i, { send }] of clients.entries()) {
    await vi.waitFor(async () => {
      await send({ ts: AHEAD, v: -1 })
      expect((await stored(DEVICES[i] ?? '')).v).toEqual([[0, -1]])
    }, WAIT)
  }
  const range = Array.from({ length: MESSAGES }, (_, v) => v)
  const expected = {
    v: range.map((v) => [v, v === 0 ? -1 : v]),
    word: range.map((v) => [v, `w${v}`]),
    on: range.map((v) => [v, v % 2 === 0]),
    n: range.map((v) => [v, '9007199254740993']),
  }
  const all = DEVICES.length * MESSAGES
  const asked = await letters()
  const job = await replay()
  for (const device of DEVICES) expect(await stored(device)).toEqual(expected)
  expect(job).toMatchObject({
    state: 'done',
    counts: { letters: asked, superseded: DEVICES.length, deleted: 0, faulty: 0 },
  })
  expect(job.counts['stored']).toBe(4 * all - DEVICES.length)
  expect((await replay()).counts).toMatchObject({ letters: 0 })
  for (const device of DEVICES) expect(await stored(device)).toEqual(expected)
  await Promise.all(clients.map(({ client }) => client.endAsync()))
})
