import { connectAsync } from 'mqtt'
import { expect, it, onTestFailed, onTestFinished, vi } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { LIMIT_MS, useServers } from './harness.ts'

const deployment = useServers()
const WAIT = { timeout: 120_000, interval: 200 }
const FIRST = Date.now() - 3_600_000
const SECONDS = 20

/** Kafka, InfluxDB and MariaDB: letters of several devices, in several partitions. */
it('letters of readings that are deleted are neither listed nor replayed', { timeout: LIMIT_MS }, async () => {
  onTestFailed(() => deployment.discard())
  const cluster = await deployment.clusterFor('deleted-letters', { workers: 2, brokers: 1, apis: 1 })
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const tenant = `d${Date.now().toString(36)}`
  const port = cluster.brokers[0]?.ready.mqtt?.port ?? 0
  for (const device of ['a', 'b', 'c']) {
    const login = await api.post<{ username: string; secret: string }>('/v1/devices', { tenant, device })
    const client = await connectAsync({ port, username: login.username, password: login.secret })
    onTestFinished(() => client.endAsync(true))
    for (let second = 0; second < SECONDS; second++) {
      const body = `{"ts":${FIRST + second * 1000},"v":1e999}`
      await client.publishAsync(`t/${tenant}/${device}/telemetry`, body, { qos: 1 })
    }
  }
  const exported = async (): Promise<{ id: string; payload: string }[]> => {
    const found: { id: string; payload: string }[] = []
    for (let cursor: string | undefined; ;) {
      const page: { deadLetters: { id: string; payload: string }[]; next: string | null } = await api.get(
        '/v1/dead-letters/export',
        { tenant, cursor },
      )
      found.push(...page.deadLetters)
      if (page.next === null) return found
      cursor = page.next
    }
  }
  const listed = async (): Promise<string[]> => {
    const answer = await api.get<{ deadLetters: { who: string; payload: string }[] }>('/v1/dead-letters', {
      tenant,
      limit: 1000,
    })
    return answer.deadLetters.map(({ who, payload }) => {
      return `${who.split('/')[1] ?? ''}${(Number(/\d+/.exec(payload)?.[0]) - FIRST) / 1000}`
    })
  }
  const all = ['a', 'b', 'c'].flatMap((device) => Array.from({ length: SECONDS }, (_, n) => `${device}${n}`))
  await vi.waitFor(async () => expect((await listed()).sort()).toEqual([...all].sort()), WAIT)
  const span = { from: String(FIRST + 5_000), to: String(FIRST + 15_000) }
  const { job } = await api.post<{ job: { id: number } }>(`/v1/devices/${tenant}/a/readings/delete`, span)
  await vi.waitFor(async () => {
    expect(await api.get<{ state: string }>(`/v1/jobs/${job.id}`)).toMatchObject({ state: 'done' })
  }, WAIT)
  const left = all.filter((one) => !/^a([5-9]|1[0-4])$/.test(one))
  expect((await listed()).sort()).toEqual([...left].sort())
  const whole = await exported()
  expect(whole).toHaveLength(left.length)
  for (const one of [whole[0], whole.at(-1)]) {
    expect(await api.get(`/v1/dead-letters/${encodeURIComponent(one?.id ?? '')}`)).toEqual(one)
  }
  const dry = await api.post<{ counts: { letters: number } }>('/v1/dead-letters/replay', { tenant, dryRun: true })
  expect(dry.counts.letters).toBe(left.length)
})
