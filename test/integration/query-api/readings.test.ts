import { expect, it } from 'vitest'
import { SluiceError } from '../../../shared/errors.ts'
import type { PointValue } from '../../../shared/telemetry.ts'
import { openApi } from './api.ts'

const URL = '/v1/devices/demo/first/readings'

async function openWithDevice(rows: readonly { field: string; ms: number; ns?: number; value: PointValue }[] = []) {
  const api = await openApi()
  await api.call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  const type = (value: PointValue) =>
    typeof value === 'number' ? 'float' : typeof value === 'bigint' ? 'integer' : 'string'
  await api.points.write({
    series: rows.map(({ field, value }) => ({
      tenant: 'demo',
      device: 'first',
      stream: 'telemetry',
      field,
      type: type(value),
    })),
    ms: rows.map(({ ms }) => ms),
    ns: rows.map(({ ns = 0 }) => ns),
    values: rows.map(({ value }) => value),
  })
  return api
}

const MS = 1_767_225_600_123

it.each([
  ['', MS],
  ['epoch=ms', MS],
  ['epoch=us', 1_767_225_600_123_456],
  ['epoch=ns', '1767225600123456789'],
  ['epoch=rfc3339', '2026-01-01T00:00:00.123456789Z'],
])('times with %j', async (query, time) => {
  const { call } = await openWithDevice([{ field: 'a', ms: MS, ns: 456_789, value: 21.5 }])
  const { body } = await call('GET', `${URL}?${query}`)
  expect(body).toEqual({
    series: [{ stream: 'telemetry', field: 'a', type: 'float', points: [[time, 21.5]] }],
    complete: true,
    next: null,
    leftOut: [],
  })
})

it('integers beyond 2^53 are text, and every other value is itself', async () => {
  const { call } = await openWithDevice([
    { field: 'a', ms: MS, value: 2n ** 62n },
    { field: 'b', ms: MS, value: 1e300 },
    { field: 'c', ms: MS, value: 'é\u0000' },
  ])
  const { body } = await call('GET', URL)
  const values = (body['series'] as { points: [number, unknown][] }[]).map(({ points }) => points[0]?.[1])
  expect(values).toEqual(['4611686018427387904', 1e300, 'é\u0000'])
})

it('a device without points answers an empty list, an unknown one 404', async () => {
  const { call } = await openWithDevice()
  expect((await call('GET', URL)).body).toEqual({ series: [], complete: true, next: null, leftOut: [] })
  expect((await call('GET', `${URL}?stream=other`)).body).toEqual({
    series: [],
    complete: true,
    next: null,
    leftOut: [],
  })
  expect(await call('GET', '/v1/devices/demo/First/readings')).toMatchObject({
    status: 404,
    body: { code: 'not_found' },
  })
})

it('hands the cursor through until all is read', async () => {
  const rows = Array.from({ length: 25 }, (_, i) => ({ field: 'a', ms: MS + i, value: i }))
  const { call } = await openWithDevice(rows)
  const times: unknown[] = []
  let page = (await call('GET', `${URL}?limit=10`)).body
  for (;;) {
    times.push(
      ...(page['series'] as { points: [number, number][] }[]).flatMap(({ points }) => points.map(([time]) => time)),
    )
    if (page['next'] === null) break
    expect(page['complete']).toBe(false)
    page = (await call('GET', `${URL}?limit=10&cursor=${page['next'] as string}`)).body
  }
  expect(times).toEqual(rows.map(({ ms }) => ms))
  expect(await call('GET', `${URL}?cursor=nonsense`)).toMatchObject({ status: 400, body: { code: 'cursor_invalid' } })
})

it.each([
  ['', { limit: 1000, stream: 'telemetry' }],
  ['limit=10000&stream=power&field=u', { limit: 10_000, stream: 'power', field: 'u' }],
  ['from=0&to=1767225600000', { from: { ms: 0, ns: 0 }, to: { ms: 1_767_225_600_000, ns: 0 } }],
  ['from=2026-01-01T00:00:00.123456789Z', { from: { ms: MS, ns: 456_789 } }],
  ['from=2026-01-01T01:00:00%2B01:00', { from: { ms: 1_767_225_600_000, ns: 0 } }],
  ['from=2026-01-01T01:00:00+01:00', { from: { ms: 1_767_225_600_000, ns: 0 } }],
  ['from=2025-12-31T23:00:00-01:00', { from: { ms: 1_767_225_600_000, ns: 0 } }],
  ['interval=5m', { aggregate: { function: 'mean', intervalMs: 300_000 } }],
  ['interval=250&aggregate=max', { aggregate: { function: 'max', intervalMs: 250 } }],
  ['interval=1d&aggregate=count', { aggregate: { function: 'count', intervalMs: 86_400_000 } }],
  ['aggregate=last', { aggregate: { function: 'last' } }],
])('reads the parameters %j', async (query, expected) => {
  const { call, points } = await openWithDevice()
  expect((await call('GET', `${URL}?${query}`)).status).toBe(200)
  expect(points.queries).toEqual([expect.objectContaining({ tenant: 'demo', device: 'first', ...expected })])
})

it.each([
  ['limit=0', 'bad_request', /limit/],
  ['limit=10001', 'bad_request', /limit/],
  ['limit=1.5', 'bad_request', /limit/],
  ['limit=true', 'bad_request', /limit/],
  ['limit=', 'bad_request', /limit/],
  ['limit=5&limit=6', 'bad_request', /limit/],
  ['limit=1e3', 'bad_request', /limit/],
  ['feild=a', 'bad_request', /feild/],
  [`stream=${'x'.repeat(129)}`, 'name_invalid', /stream/],
  ['stream=', 'name_invalid', /stream/],
  ['measurement=power', 'bad_request', /measurement/],
  ['epoch=s', 'bad_request', /epoch.*ms, us, ns, rfc3339/],
  ['aggregate=median', 'bad_request', /aggregate/],
  ['interval=0', 'bad_request', /interval/],
  ['interval=5w', 'bad_request', /interval/],
  ['interval=-5m', 'bad_request', /interval/],
  ['interval=400d', 'bad_request', /interval/],
  ['interval=999999999999d', 'bad_request', /interval/],
  ['from=yesterday', 'bad_request', /from/],
  ['from=2026-01-01', 'bad_request', /from/],
  ['from=2026-01-01T00:00:00', 'bad_request', /from.*zone/],
  ['from=2026-02-30T00:00:00Z', 'bad_request', /from/],
  ['from=-1', 'bad_request', /from/],
  ['from=1.5', 'bad_request', /from/],
  ['to=2300-01-01T00:00:00Z', 'bad_request', /to.*2262/],
  ['to=999999999999999', 'bad_request', /to.*2262/],
  ['to=1969-12-31T23:59:59Z', 'bad_request', /to.*1970/],
  ['from=2&to=1', 'bad_request', /from.*later/],
])('refuses %j', async (query, code, detail) => {
  const { call, points } = await openWithDevice()
  const answer = await call('GET', `${URL}?${query}`)
  expect(answer).toMatchObject({ status: 400, body: { code } })
  expect(answer.body['detail']).toMatch(detail)
  expect(points.queries).toEqual([])
})

it('a store that does not answer is 503 and says to come back', async () => {
  const { call, points } = await openWithDevice()
  points.query = async () => {
    throw new SluiceError('store_unavailable', 'no answer')
  }
  const answer = await call('GET', URL)
  expect(answer).toMatchObject({ status: 503, body: { code: 'store_unavailable' }, headers: { 'retry-after': '1' } })
})
