import { describe, expect, it, onTestFinished } from 'vitest'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openInfluxPoints } from '../../../shared/points/influx/open.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import { batchOf, everySecond, seriesOf, valuesOf } from '../../contract/points-harness.ts'
import { callInflux, freshBucket, openInflux } from '../../contract/points-influx-harness.ts'
import type { FaultProxy } from '../../../load-tests/servers/fault-proxy.ts'
import { openBufferedInflux } from '../../variants/influx-client-buffer.ts'
import { behindFaults, useInfluxdb, writeUntilStored } from './influx-harness.ts'

const server = useInfluxdb()
const series = seriesOf('float')
const values = Array.from({ length: 100 }, (_, i) => i)
const JSON_TYPE = { 'content-type': 'application/json' }

async function openBehindFaults(token?: () => string) {
  const { proxy, behind } = await behindFaults(server())
  const bucket = freshBucket(server())
  const { store, metrics } = await openInflux(behind, bucket, token === undefined ? {} : { token })
  return { proxy, behind, bucket, store, metrics }
}

/** Every value is there once, although the first write of it met a 401. Shared with the test of the wrong variant. */
async function checkRefusalLosesNothing(proxy: FaultProxy, store: PointStore): Promise<void> {
  const body = '{"code":"unauthorized","message":"unauthorized access"}'
  proxy.fail({ kind: 'answer', status: 401, headers: JSON_TYPE, body }, { path: '/write', times: 1 })
  expect(await writeUntilStored(store, everySecond(series, values))).toEqual([])
  await proxy.met(1)
  expect(await valuesOf(store, series)).toEqual(values)
}

describe('a server that fails for a while', () => {
  it.each([
    { status: 503, headers: {}, retryAfterMs: undefined },
    { status: 503, headers: { 'retry-after': '3' }, retryAfterMs: 3000 },
    { status: 429, headers: { 'retry-after': '2' }, retryAfterMs: 2000 },
    { status: 500, headers: {}, retryAfterMs: undefined },
  ])('answers $status $headers: to be tried again, when it says so', async ({ status, headers, retryAfterMs }) => {
    const { proxy, store } = await openBehindFaults()
    proxy.fail({ kind: 'answer', status, headers, body: 'busy' }, { path: '/write', times: 2 })
    const failures: unknown[] = []
    expect(await writeUntilStored(store, everySecond(series, values), (error) => failures.push(error))).toEqual([])
    const failure = { code: 'store_unavailable', retryAfterMs }
    expect(failures).toMatchObject([failure, failure])
    expect(await valuesOf(store, series)).toEqual(values)
  })

  it('drops the connection once the points are in: they are written again and are there once', async () => {
    const { proxy, store } = await openBehindFaults()
    proxy.fail({ kind: 'drop-answer' }, { path: '/write', times: 1 })
    await expect(store.write(everySecond(series, values))).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(await valuesOf(store, series)).toEqual(values)
    await store.write(everySecond(series, values))
    expect(await valuesOf(store, series)).toEqual(values)
  })

  it('stalls, and goes on', async () => {
    const { proxy, store } = await openBehindFaults()
    proxy.fail({ kind: 'stall' })
    const written = store.write(everySecond(series, values))
    await proxy.met(1)
    proxy.heal()
    expect(await written).toEqual([])
    expect(await valuesOf(store, series)).toEqual(values)
  })

  it('does not answer until later', async () => {
    const { proxy, store } = await openBehindFaults()
    proxy.fail({ kind: 'withhold' }, { path: '/write' })
    const written = store.write(everySecond(series, values))
    await proxy.met(1)
    proxy.heal()
    expect(await written).toEqual([])
    expect(await valuesOf(store, series)).toEqual(values)
  })

  it('stalls for good: the write is given up, its connection with it, and repeated', async () => {
    const { proxy, store } = await openBehindFaults()
    proxy.fail({ kind: 'stall' }, { path: '/write', times: 1 })
    await expect(store.write(everySecond(series, values))).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('10 s') as string,
    })
    expect(await store.write(everySecond(series, values))).toEqual([])
    proxy.heal()
    expect(await valuesOf(store, series)).toEqual(values)
  })

  it('breaks off within its answer: that is no page', async () => {
    const { proxy, store } = await openBehindFaults()
    await store.write(everySecond(series, values))
    proxy.fail({ kind: 'cut-answer', bytes: 200 }, { path: '/query' })
    await expect(valuesOf(store, series)).rejects.toMatchObject({ code: 'store_unavailable' })
    proxy.heal()
    expect(await valuesOf(store, series)).toEqual(values)
  })

  it('is killed and started again: what it took is there, and the rest follows', async () => {
    const { store } = await openInflux(server(), freshBucket(server()))
    await store.write(everySecond(series, values))
    await server().process.stop('SIGKILL')
    const later = everySecond(series, values, 1_800_000_000_000)
    await expect(store.write(later)).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(store.series('acme', 'pump-1')).rejects.toMatchObject({ code: 'store_unavailable' })
    await server().process.start()
    expect(await writeUntilStored(store, later)).toEqual([])
    expect(await valuesOf(store, series)).toEqual([...values, ...values])
  })

  it('is not there at the start: the store opens when it comes, or not at all', async () => {
    const { url, org, token, process } = server()
    const bucket = freshBucket(server())
    await process.stop('SIGKILL')
    const ending = new AbortController()
    const shared = { org, bucket, token: () => token, logger: createLogger('silent') }
    const metrics = () => createMetrics({ defaults: false })
    const given = openInfluxPoints({ url, ...shared, metrics: metrics() })
    const gone = openInfluxPoints({ url: 'http://127.0.0.1:1', ...shared, metrics: metrics(), signal: ending.signal })
    ending.abort()
    await expect(gone).rejects.toMatchObject({ code: 'closed' })
    await process.start()
    const store = await given
    onTestFinished(() => store.close())
    expect(await store.write(everySecond(series, values))).toEqual([])
  })
})

describe('a request that is refused', () => {
  it('for its token fails as a whole, and works with the next token', async () => {
    let token = server().token
    const { store } = await openBehindFaults(() => token)
    const right = token
    token = 'revoked'
    const { proxy, behind, bucket } = await openBehindFaults(() => token)
    const other = (await openInflux(behind, bucket, { token: () => token })).store
    await expect(other.write(everySecond(series, values))).rejects.toMatchObject({ code: 'store_unauthorised' })
    await expect(other.series('acme', 'pump-1')).rejects.toMatchObject({ code: 'store_unauthorised' })
    expect(await store.write(everySecond(series, [1]))).toEqual([])
    token = right
    await callInflux(server(), 'POST', `/api/v2/buckets`, await bucketBody(bucket))
    expect(await other.write(everySecond(series, values))).toEqual([])
    expect(await valuesOf(other, series)).toEqual(values)
    expect(proxy.requests.get('/api/v2/write')).toBe(3)
  })

  it('for its token, as others beside it are, is repeated with the next one like they', async () => {
    const bucket = freshBucket(server())
    await openInflux(server(), bucket)
    let token = 'revoked'
    const { store } = await openInflux(server(), bucket, { token: () => token })
    const asked = ['pump-1', 'pump-2', 'pump-3'].map((device) => store.series('acme', device))
    token = server().token
    expect(await Promise.all(asked)).toEqual([[], [], []])
  })

  it('loses nothing, while the buffer and retries of the client do', async () => {
    const { proxy, behind, bucket, store } = await openBehindFaults()
    await checkRefusalLosesNothing(proxy, store)
    const { org, token, url } = behind
    const wrong = await openBufferedInflux({
      url,
      org,
      bucket: `${bucket}-wrong`,
      token: () => token,
      logger: createLogger('silent'),
      metrics: createMetrics({ defaults: false }),
    })
    onTestFinished(() => wrong.close())
    await expect(checkRefusalLosesNothing(proxy, wrong)).rejects.toThrow(/expected/)
  })

  it('for a bucket that is gone fails as a whole', async () => {
    const { store, bucket } = await openBehindFaults()
    const found = await callInflux(server(), 'GET', `/api/v2/buckets?org=${server().org}&name=${bucket}`)
    const { buckets } = (await found.json()) as { buckets: { id: string }[] }
    await callInflux(server(), 'DELETE', `/api/v2/buckets/${buckets[0]?.id}`)
    await expect(store.write(everySecond(series, values))).rejects.toMatchObject({ code: 'store_misconfigured' })
    await expect(store.series('acme', 'pump-1')).rejects.toMatchObject({ code: 'store_misconfigured' })
  })

  it('by somebody in between says nothing about points', async () => {
    const { proxy, store } = await openBehindFaults()
    proxy.fail({ kind: 'answer', status: 400, headers: { 'content-type': 'text/html' }, body: 'plain HTTP to HTTPS' })
    await expect(store.write(everySecond(series, values))).rejects.toMatchObject({ code: 'store_misconfigured' })
  })

  it('for a few points rejects just them, with the reason', async () => {
    const { store } = await openBehindFaults()
    // Written by somebody who believes that the name is free for texts.
    const text = seriesOf('string', { field: 'x', plain: 'string' })
    const float = seriesOf('float', { field: 'x' })
    await store.write(everySecond(float, [1], 0))
    const points = Array.from({ length: 1000 }, (_, i) => {
      return i % 400 === 7
        ? { series: text, ms: i * 1000, ns: 0, value: 'seven' }
        : { series: float, ms: i * 1000, ns: 0, value: i }
    })
    const rejected = await store.write(batchOf(points))
    expect(rejected.map(({ index, error }) => [index, error.code])).toEqual(
      [7, 407, 807].map((index) => [index, 'type_conflict']),
    )
    expect(rejected[0]?.error.message).toContain('already exists as type float')
    expect((await valuesOf(store, float)).length).toBe(997)
  })

  it('for its size is divided, down to the point that is too large alone', async () => {
    const { proxy, store } = await openBehindFaults()
    const text = seriesOf('string')
    const texts = Array.from({ length: 64 }, (_, i) => (i === 40 ? 'x'.repeat(16_000) : `small ${i}`.repeat(20)))
    proxy.fail({ kind: 'limit', bytes: 8_000 }, { path: '/write' })
    const rejected = await store.write(everySecond(text, texts))
    expect(rejected.map(({ index, error }) => [index, error.code])).toEqual([[40, 'payload_too_large']])
    expect(await valuesOf(store, text)).toEqual(texts.filter((_, i) => i !== 40))
  })
})

async function bucketBody(name: string): Promise<string> {
  const { orgs } = (await (await callInflux(server(), 'GET', `/api/v2/orgs?org=${server().org}`)).json()) as {
    orgs: { id: string }[]
  }
  return JSON.stringify({ orgID: orgs[0]?.id, name })
}
