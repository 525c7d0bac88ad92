import { connectAsync } from 'mqtt'
import { expect, it, vi } from 'vitest'
import { ApiClient } from '../../shared/api-client.ts'
import { PATIENCE } from '../patience.ts'
import { startServer, type Server } from './server.ts'

const MESSAGES = 300
/** Letters a second: a page of so many, and then a pause in which the process is killed. */
const RATE = 50
const AHEAD = Date.now() + 2 * 86_400_000

interface Job {
  readonly id: number
  readonly state: string
  readonly counts: Readonly<Record<string, number>>
  readonly endedAt: string | null
}

/** Messages whose device is two days ahead, each acknowledged: all of them are letters. */
async function send({ mqttPort }: Server, api: ApiClient): Promise<void> {
  const { username, secret } = await api.post<{ username: string; secret: string }>('/v1/devices', {
    tenant: 'demo',
    device: 'a',
  })
  const client = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { username, password: secret })
  const payload = (v: number) => JSON.stringify({ ts: AHEAD + v, v })
  await Promise.all(
    Array.from({ length: MESSAGES }, (_, v) => client.publishAsync('t/demo/a/telemetry', payload(v), { qos: 1 })),
  )
  await client.endAsync()
}

/** What was sent by the receive time of its letter. */
async function letters(api: ApiClient): Promise<Map<string, number>> {
  interface Letter {
    readonly receivedAt: string
    readonly payload: string
  }
  return vi.waitFor(async () => {
    const { deadLetters } = await api.get<{ deadLetters: Letter[] }>('/v1/dead-letters', {
      code: 'time_ahead',
      limit: 1000,
    })
    expect(deadLetters).toHaveLength(MESSAGES)
    return new Map(deadLetters.map((one) => [one.receivedAt, (JSON.parse(one.payload) as { v: number }).v]))
  }, PATIENCE)
}

/** By time. */
async function stored(api: ApiClient): Promise<Map<string, number>> {
  const { series } = await api.get<{ series: { points: [string, number][] }[] }>('/v1/devices/demo/a/readings', {
    epoch: 'rfc3339',
    limit: 10_000,
  })
  return new Map(series.flatMap(({ points }) => points))
}

async function replay(api: ApiClient, rate: number): Promise<Job> {
  const { job } = await api.post<{ job: Job }>('/v1/dead-letters/replay', { tenant: 'demo', code: 'time_ahead', rate })
  return job
}

async function ended(api: ApiClient, { id }: Job): Promise<Job> {
  return vi.waitFor(async () => {
    const job = await api.get<Job>(`/v1/jobs/${id}`)
    expect(job.endedAt).not.toBeNull()
    return job
  }, PATIENCE)
}

it('a replay that is killed goes on: everything once at its first time, corrections stay, nothing deleted comes back', async () => {
  const first = await startServer()
  const before = new ApiClient(first)
  await send(first, before)
  const expected = await letters(before)
  const times = [...expected.keys()].sort()
  // Deleted, and corrected, before anything is replayed; of the newest letters and of the oldest.
  const [gone = '', behind = ''] = [times[20], times[25]]
  const deleting = await before.post<{ job: Job }>('/v1/devices/demo/a/readings/delete', { from: gone, to: behind })
  expect(await ended(before, deleting.job)).toMatchObject({ state: 'done' })
  for (const time of times.slice(20, 25)) expected.delete(time)
  const corrected = [times[0] ?? '', times[1] ?? '', times.at(-1) ?? '']
  await before.post('/v1/devices/demo/a/readings', corrected.map((ts) => ({ ts, v: -1 }))) // prettier-ignore
  for (const time of corrected) expected.set(time, -1)
  await vi.waitFor(async () => expect((await stored(before)).size).toBe(corrected.length), PATIENCE)

  await before.put('/v1/policies?tenant=demo', { revision: 0, document: { time_future: 'restamp' } })
  const job = await replay(before, RATE)
  await vi.waitFor(async () => {
    expect((await before.get<Job>(`/v1/jobs/${job.id}`)).counts['letters']).toBeGreaterThanOrEqual(RATE)
  }, PATIENCE)
  await first.kill('SIGKILL')

  const second = await startServer({ folder: first.folder })
  const api = new ApiClient(second)
  expect(await api.get<Job>(`/v1/jobs/${job.id}`)).toMatchObject({ endedAt: null })
  const { state, counts } = await ended(api, job)
  expect(state).toBe('done')
  expect(await stored(api)).toEqual(expected)
  const { stored: written = 0, unchanged = 0, ...others } = counts
  expect(others).toEqual({ letters: MESSAGES, skipped: 0, superseded: corrected.length, deleted: 5, faulty: 0 })
  // What was stored of the page at which the process was killed is unchanged when it is done again.
  expect(written + unchanged).toBe(MESSAGES - corrected.length - 5)
  expect(unchanged).toBeLessThanOrEqual(RATE)

  const again = await ended(api, await replay(api, 10_000))
  expect(again.counts).toEqual({ letters: 0, skipped: MESSAGES })
  expect(await stored(api)).toEqual(expected)
})
