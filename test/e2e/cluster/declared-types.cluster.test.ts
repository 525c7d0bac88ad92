import { connectAsync } from 'mqtt'
import { expect, it, onTestFailed, onTestFinished, vi } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { PATIENCE } from '../../patience.ts'
import { LIMIT_MS, useServers } from './harness.ts'

const deployment = useServers()

interface Readings {
  readonly series: readonly { readonly points: readonly (readonly [string, unknown])[] }[]
}

/** An integer that no float holds. */
const isExact = (value: unknown): boolean => typeof value === 'string'

it(
  'a declared integer is exact in InfluxDB without a restart, and what is read again is not there twice',
  { timeout: LIMIT_MS },
  async () => {
    onTestFailed(() => deployment.discard())
    const cluster = await deployment.clusterFor('declared types', { workers: 2 })
    const api = new ApiClient({ url: cluster.url, token: cluster.token })
    const tenant = `d${Date.now().toString(36)}`
    const login = await api.post<{ username: string; secret: string }>('/v1/devices', { tenant, device: 'meter' })
    const port = cluster.broker.ready.mqtt?.port ?? 0
    const client = await connectAsync({ port, username: login.username, password: login.secret })
    onTestFinished(() => client.endAsync(true))
    const sent: string[] = []
    const send = async (value: string): Promise<void> => {
      sent.push(value)
      await client.publishAsync(`t/${tenant}/meter/telemetry`, `{"total":${value}}`, { qos: 1 })
    }
    const stored = async () => {
      const path = `/v1/devices/${tenant}/meter/readings?field=total&kind=number&epoch=ns&limit=10000`
      const { series } = await api.get<Readings>(path)
      const all = series.flatMap(({ points }) => points.map(([, value]) => value))
      expect(series.length).toBeLessThanOrEqual(1)
      return all
    }
    const FIRST = 9_007_199_254_740_993n
    await send(String(FIRST))
    await api.put('/v1/types', { tenant, field: 'total', type: 'integer' })
    await vi.waitFor(async () => {
      await send(String(FIRST + BigInt(2 * sent.length)))
      expect((await stored()).some(isExact)).toBe(true)
    }, PATIENCE)
    await send('2.5')
    // What was not committed is read again, by a worker that knows of the declaration from its start.
    for (const worker of cluster.workers) {
      await worker.stop('SIGKILL')
      await worker.start()
    }
    await send('7')
    await vi.waitFor(async () => {
      const all = await stored()
      expect(all).toHaveLength(sent.length)
      const since = all.findIndex(isExact)
      expect(all).toEqual(sent.map((value, n) => (n >= since && value.length > 15 ? value : Number(value))))
    }, PATIENCE)
  },
)

it(
  'texts that are numbers get them beside them in InfluxDB, exactly and once, when all of them are numbers',
  { timeout: LIMIT_MS },
  async () => {
    onTestFailed(() => deployment.discard())
    const cluster = await deployment.clusterFor('declared types', { workers: 2 })
    const api = new ApiClient({ url: cluster.url, token: cluster.token })
    const tenant = `r${Date.now().toString(36)}`
    const ts = Date.now() - 60_000
    const devices = ['a', 'b', 'c']
    for (const device of devices) {
      await api.post('/v1/devices', { tenant, device })
      const readings = ['21.5', '9007199254740993', `${device.charCodeAt(0)}`].map((id, i) => ({ ts: ts + i, id }))
      await api.post(`/v1/devices/${tenant}/${device}/readings`, readings)
    }
    await api.post(`/v1/devices/${tenant}/a/readings`, { ts, word: 'none' })
    const rewrite = async (field: string, type: string, dryRun = false) => {
      const { id } = await api.post<{ id: number }>('/v1/types/rewrite', { tenant, field, type, dryRun })
      return vi.waitFor(async () => {
        const job = await api.get<{ endedAt: string | null; counts: Record<string, number> }>(`/v1/jobs/${id}`)
        expect(job.endedAt).not.toBeNull()
        return job
      }, PATIENCE)
    }
    const counted = { texts: 9, numbers: 9, others: 0 }
    await vi.waitFor(
      async () => expect(await rewrite('id', 'float', true)).toMatchObject({ counts: counted }),
      PATIENCE,
    )
    await vi.waitFor(async () => expect(await rewrite('word', 'float')).toMatchObject({ state: 'failed' }), PATIENCE)
    for (const expected of [
      { stored: 9, unchanged: 0 },
      { stored: 0, unchanged: 9 },
    ]) {
      expect(await rewrite('id', 'integer')).toMatchObject({ state: 'done', counts: { ...counted, ...expected } })
    }
    for (const device of devices) {
      const { series } = await api.get<Readings>(`/v1/devices/${tenant}/${device}/readings?field=id&kind=number`)
      const values = [21.5, '9007199254740993', device.charCodeAt(0)]
      expect(series).toMatchObject([{ type: 'number', points: values.map((value, i) => [ts + i, value]) }])
    }
  },
)
