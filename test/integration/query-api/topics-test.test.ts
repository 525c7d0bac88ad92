import { expect, it } from 'vitest'
import { openReal } from './real-api.ts'

const ALL = [{ effect: 'allow', action: 'publish', topic: 't/demo/#' }]

async function open() {
  const real = await openReal(undefined, { isIdle: true })
  const { call } = real
  for (const device of ['a', 'b']) await call('POST', '/v1/devices', { payload: { tenant: 'demo', device } })
  await call('POST', '/v1/applications', { payload: { name: 'gateway', rules: ALL } })
  await call('POST', '/v1/applications', { payload: { name: 'maker', rules: ALL, createsDevices: true } })
  const test = (topic: string, payload: string | Buffer, as?: string) => {
    const body = typeof payload === 'string' ? { payload } : { payloadBase64: payload.toString('base64') }
    return call('POST', '/v1/topics/test', { payload: { topic, ...body, ...(as === undefined ? {} : { as }) } })
  }
  return { ...real, test }
}

it('shows the points of a message, with kinds and times, and writes nothing', async () => {
  const { test, log } = await open()
  const payload = '[{"ts":1767225600000,"t":21.5,"on":true,"x":null},{"ts":"2026-01-02T00:00:00Z","word":"ON"}]'
  const { status, body } = await test('t/demo/a/telemetry/room', payload)
  expect([status, body]).toMatchObject([
    200,
    { who: 'demo/a', end: 'telemetry', refusal: null, pointCount: 3, nulls: 1 },
  ])
  const point = { element: 0, device: 'a', stream: 'room' }
  expect(body['points']).toEqual([
    { ...point, field: 't', kind: 'number', time: '2026-01-01T00:00:00Z', value: 21.5 },
    { ...point, field: 'on', kind: 'boolean', time: '2026-01-01T00:00:00Z', value: true },
    { ...point, element: 1, field: 'word', kind: 'text', time: '2026-01-02T00:00:00Z', value: 'ON' },
  ])
  for (const topic of ['telemetry.raw', 'telemetry.dead-letter'] as const) {
    expect((await log.offsets(topic)).every(({ start, end }) => start === end)).toBe(true)
  }
})

it('shows what is refused of a message, and the rest of it', async () => {
  const { test } = await open()
  const mixed = await test('t/demo/a/telemetry', '{"a":1,"b":[[1]]}')
  expect(mixed.body).toMatchObject({ pointCount: 1, faultCount: 1, faults: [{ path: 'b', code: 'list_left_out' }] })
  const bytes = await test('t/demo/a/telemetry', Buffer.from([0xff, 0, 1]))
  expect(bytes.body).toMatchObject({ end: 'telemetry', pointCount: 0, faults: [{ code: 'payload_not_utf8' }] })
  const doubtful = await test('t/demo/a/telemetry', '{"time":"2026-01-01 10:00:00","a":1}')
  expect(doubtful.body).toMatchObject({ faultCount: 0, warnings: [{ code: 'time_without_zone' }] })
})

it('decodes by the policies in force', async () => {
  const { test, call } = await open()
  const document = { quoted_numbers: 'number', time_future: 'restamp' }
  await call('PUT', '/v1/policies?tenant=demo', { payload: { revision: 0, document } })
  const { body } = await test('t/demo/a/telemetry', '{"ts":4000000000000,"a":"7"}')
  expect(body).toMatchObject({ points: [{ value: 7, kind: 'number' }], warnings: [{ code: 'time_restamped' }] })
})

const REFUSED = [
  ['t/demo/b/telemetry', 'demo/a', 'not_authorised'],
  ['t/demo/a/telemetri', undefined, 'topic_unknown'],
  ['t/demo/a/telemetri', 'demo/a', 'topic_unknown'],
  ['t/demo/a%20b/telemetry', undefined, 'topic_encoding_invalid'],
  ['$SYS/x', undefined, 'topic_reserved'],
  ['t/demo/+/telemetry', undefined, 'topic_invalid'],
  ['t/demo/c/telemetry', undefined, 'device_unknown'],
  ['t/demo/c/telemetry', 'gateway', 'device_unknown'],
  ['t/other/a/telemetry', 'gateway', 'not_authorised'],
] as const

it('refuses what the broker refuses', async () => {
  const { test } = await open()
  for (const [topic, as, code] of REFUSED) {
    const { status, body } = await test(topic, '{"a":1}', as)
    expect([topic, status, body]).toMatchObject([topic, 200, { end: 'refused', refusal: { code }, points: [] }])
  }
})

it('of a payload that is too large: as the broker refuses it', async () => {
  const { test } = await open()
  const { body } = await test('t/demo/a/telemetry', `"${'x'.repeat(65_536)}"`)
  expect(body).toMatchObject({ end: 'refused', refusal: { code: 'payload_too_large' } })
})

it('knows devices that an application makes, and those that a message names', async () => {
  const { test } = await open()
  const made = await test('t/demo/new/telemetry', '{"a":1}', 'maker')
  expect(made.body).toMatchObject({ end: 'telemetry', points: [{ device: 'new', field: 'a' }] })
  expect(made.body['notes']).toEqual([expect.stringContaining('made by its first message')])
  const several = await test('t/demo/telemetry', '{"a":{"x":1},"nobody":{"x":2}}', 'gateway')
  expect(several.body).toMatchObject({
    points: [{ device: 'a', stream: 'telemetry', field: 'x' }],
    faults: [{ code: 'device_unknown', detail: 'there is no device "nobody"' }],
  })
})

it('a renamed device publishes under its former name', async () => {
  const { test, call } = await open()
  expect((await call('POST', '/v1/devices/demo/a/rename', { payload: { device: 'c' } })).status).toBeLessThan(300)
  const { body } = await test('t/demo/a/telemetry', '{"x":1}')
  expect(body).toMatchObject({ who: 'demo/c', end: 'telemetry', points: [{ device: 'c' }] })
})

it('says what else is to be known', async () => {
  const { test } = await open()
  expect((await test('t/demo/a/status', 'on')).body).toMatchObject({ end: 'messages', points: [] })
  expect(await test('house/door', 'x')).toMatchObject({ status: 400, body: { code: 'bad_request' } })
  expect(await test('t/demo/a/telemetry', '1', 'nobody')).toMatchObject({ status: 404, body: { code: 'not_found' } })
  expect(await test('t/demo/a/telemetry', '1', 'demo/c')).toMatchObject({ status: 404 })
})

it('judges numbers by the range that is declared of their field', async () => {
  const { test, call } = await open()
  const declare = (payload: object) => call('PUT', '/v1/types', { payload: { tenant: 'demo', field: 't', ...payload } })
  await declare({ min: -40, max: 60 })
  const payload = '[{"t":60,"n":99},{"t":60.5,"n":99},{"t":"hot"}]'
  const { body } = await test('t/demo/a/telemetry', payload)
  const detail = '60.5 is above the declared max 60'
  expect(body).toMatchObject({ pointCount: 5, faultCount: 0, warnings: [{ element: 1, path: 't', detail }] })
  await declare({ outside: 'fault' })
  const faults = [{ element: 1, path: 't', code: 'value_outside_range', detail }]
  expect((await test('t/demo/a/telemetry', payload)).body).toMatchObject({ pointCount: 4, faults, warnings: [] })
})
