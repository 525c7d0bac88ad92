import { connectAsync } from 'mqtt'
import { expect, it, onTestFailed, vi } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { LIMIT_MS, useServers } from './harness.ts'

const deployment = useServers()

/** Of a device whose clock knows only seconds, with several states in each. */
const FIRST_SECOND = 1_769_860_800
const STATES_PER_SECOND = 10

const POINTS = ['before-write', 'between-stores', 'after-both', 'before-commit'] as const

type Points = readonly (readonly [string, unknown])[]

function timeOf(n: number): string {
  const second = new Date((FIRST_SECOND + Math.floor(n / STATES_PER_SECOND)) * 1000).toISOString().slice(0, 19)
  const behind = n % STATES_PER_SECOND
  return `${second}${behind === 0 ? '' : `.${String(behind).padStart(9, '0')}`}Z`
}

it('texts of one second are all there, once, wherever workers are killed', { timeout: LIMIT_MS }, async () => {
  onTestFailed(() => deployment.discard())
  const cluster = await deployment.clusterFor('same second', { workers: 1 })
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const tenant = `s${Date.now().toString(36)}`
  const login = await api.post<{ username: string; secret: string }>('/v1/devices', { tenant, device: 'door' })
  const port = cluster.broker.ready.mqtt?.port ?? 0
  const client = await connectAsync({ port, username: login.username, password: login.secret })
  let sent = 0
  const send = async (): Promise<void> => {
    const second = FIRST_SECOND + Math.floor(sent / STATES_PER_SECOND)
    const state = `state ${sent}`
    sent += 1
    await client.publishAsync(`t/${tenant}/door/telemetry`, JSON.stringify({ ts: second, state }), { qos: 1 })
  }
  const [worker] = cluster.workers
  if (worker === undefined) throw new Error('the cluster has a worker')
  await worker.stop('SIGTERM')
  for (const point of POINTS) {
    // It may be dead before it is ready.
    const starting = worker.start(['test/variants/killed-worker.ts', point, '2'])
    let isGone = false
    const dead = Promise.allSettled([starting]).then(async () => {
      await worker.gone()
      isGone = true
    })
    while (!isGone) {
      await send()
      // Not more than can be read in one page at the end.
      await api.get('/v1/log')
    }
    await dead
  }
  await worker.start()
  const stored = async (): Promise<Points> => {
    const path = `/v1/devices/${tenant}/door/readings?field=state&epoch=rfc3339&limit=10000`
    const read = await api.get<{ series: { points: Points }[] }>(path)
    return read.series.flatMap(({ points }) => points)
  }
  await vi.waitFor(async () => expect((await stored()).at(-1)?.[1]).toBe(`state ${sent - 1}`), {
    timeout: 120_000,
    interval: 500,
  })
  const all = Array.from({ length: sent }, (_, n) => [timeOf(n), `state ${n}`])
  expect(await stored()).toEqual(all)
  await client.endAsync()
})
