import { expect, it } from 'vitest'
import { SluiceError } from '../../../shared/errors.ts'
import { encodeLatest, latestKey } from '../../../shared/latest-state.ts'
import type { StreamState } from '../../../shared/registry/port.ts'
import { openApi } from './api.ts'

it('makes a device, shows it, lists it and removes it', async () => {
  const { call, registry } = await openApi()
  const made = await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first', tags: { room: 'é' } } })
  expect(made).toMatchObject({ status: 201, body: { tenant: 'demo', device: 'first', username: 'demo/first' } })
  expect(made.body['secret']).not.toBe(made.body['token'])

  const shown = await call('GET', '/v1/devices/demo/first')
  const device = {
    ...{ tenant: 'demo', device: 'first', uid: 'first' },
    tags: { room: 'é' },
    createdAt: '2023-11-14T22:13:20Z',
    lastSeen: null,
    connected: false,
    lastHeard: null,
    disabled: false,
  }
  expect(shown.body).toMatchObject({ ...device, credentials: [], streams: [] })
  expect((await call('GET', '/v1/devices')).body).toEqual({ devices: [device], next: null })

  expect((await call('DELETE', '/v1/devices/demo/first')).status).toBe(204)
  expect((await call('DELETE', '/v1/devices/demo/first')).status).toBe(404)
  expect((await call('GET', '/v1/devices/demo/first')).status).toBe(404)
  expect(registry.audited).toEqual(['admin device.create demo/first', 'admin device.remove demo/first'])
})

it('makes many, all or none', async () => {
  const { call } = await openApi()
  const devices = Array.from({ length: 1000 }, (_, i) => ({ tenant: 'sim', device: `d${i}` }))
  const made = await call('POST', '/v1/devices/bulk', { payload: { devices } })
  expect(made.status).toBe(201)
  const logins = made.body['devices'] as { username: string; secret: string }[]
  expect(logins.map((login) => login.username)).toEqual(devices.map(({ device }) => `sim/${device}`))
  expect(new Set(logins.map((login) => login.secret)).size).toBe(1000)

  const again = {
    devices: [
      { tenant: 'sim', device: 'new' },
      { tenant: 'sim', device: 'd5' },
    ],
  }
  expect(await call('POST', '/v1/devices/bulk', { payload: again })).toMatchObject({
    status: 409,
    body: { code: 'already_exists' },
  })
  expect((await call('GET', '/v1/devices/sim/new')).status).toBe(404)
})

it('pages through the list', async () => {
  const { call } = await openApi()
  for (const device of ['a', 'b', 'c']) await call('POST', '/v1/devices', { payload: { tenant: 'x', device } })
  await call('POST', '/v1/devices', { payload: { tenant: 'y', device: 'd' } })
  const seen: unknown[] = []
  let next: unknown = ''
  while (next !== null) {
    const cursor: string = next === '' ? '' : `&cursor=${encodeURIComponent(next as string)}`
    const { body } = await call('GET', `/v1/devices?tenant=x&limit=2${cursor}`)
    seen.push(...(body['devices'] as { device: string }[]).map(({ device }) => device))
    next = body['next']
  }
  expect(seen).toEqual(['a', 'b', 'c'])
})

it('groups the fields of a device by stream', async () => {
  const { call, points } = await openApi()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  const series = (stream: string, field: string) => ({
    tenant: 'demo',
    device: 'first',
    stream,
    field,
    type: 'float' as const,
  })
  await points.write({
    series: [series('power', 'u'), series('telemetry', 'b'), series('power', 'i')],
    ms: [1, 1, 1],
    ns: [0, 0, 0],
    values: [1, 2, 3],
  })
  expect((await call('GET', '/v1/devices/demo/first')).body['streams']).toEqual([
    {
      stream: 'power',
      fields: [
        { field: 'i', type: 'float' },
        { field: 'u', type: 'float' },
      ],
    },
    { stream: 'telemetry', fields: [{ field: 'b', type: 'float' }] },
  ])
})

it.each([
  [{ tenant: 'demo' }, 'bad_request', /device/],
  [{ tenant: 'demo', device: 5 }, 'bad_request', /"device"/],
  [{ tenant: 'demo', device: 'a', tag: {} }, 'bad_request', /"tag"/],
  [{ tenant: 'demo', device: 'a', tags: { a: 1 } }, 'bad_request', /tags/],
  [{ tenant: 'a b', device: 'demo' }, 'name_invalid', /a b/],
  [{ tenant: 'demo', device: 'a\u200bb' }, 'name_character_invalid', /U\+200B/],
  [['demo'], 'bad_request', /body/],
])('refuses %j', async (payload, code, detail) => {
  const { call } = await openApi()
  const answer = await call('POST', '/v1/devices', { payload })
  expect(answer).toMatchObject({ status: 400, body: { code } })
  expect(answer.body['detail']).toMatch(detail)
})

it.each([
  ['no array', {}],
  ['none', { devices: [] }],
  ['too many', { devices: Array.from({ length: 1001 }, (_, i) => ({ tenant: 'a', device: `d${i}` })) }],
])('refuses a bulk of %s', async (_name, payload) => {
  const { call } = await openApi()
  expect(await call('POST', '/v1/devices/bulk', { payload })).toMatchObject({
    status: 400,
    body: { code: 'bad_request' },
  })
})

it.each([
  ['{"tenant":', 'application/json', 400, 'bad_request'],
  ['', 'application/json', 400, 'bad_request'],
  ['{"__proto__":{"a":1},"tenant":"a","device":"b"}', 'application/json', 400, 'bad_request'],
  ['tenant=a&device=b', 'application/x-www-form-urlencoded', 415, 'media_type_unsupported'],
  ['<a/>', 'text/xml', 415, 'media_type_unsupported'],
  [`{"tenant":"${'x'.repeat(1_100_000)}"}`, 'application/json', 413, 'payload_too_large'],
])('a body that cannot be read: %.40s', async (payload, type, status, code) => {
  const { call } = await openApi()
  const answer = await call('POST', '/v1/devices', { payload, headers: { 'content-type': type } })
  expect(answer).toMatchObject({ status, body: { code } })
})

it('makes applications with rules, lists and removes them', async () => {
  const { call, registry } = await openApi()
  const rules = [
    { effect: 'allow', action: 'subscribe', topic: 't/demo/#' },
    { effect: 'deny', action: 'subscribe', topic: 't/demo/+/cmd' },
  ]
  const made = await call('POST', '/v1/applications', { payload: { name: 'dashboard', rules } })
  expect(made).toMatchObject({ status: 201, body: { name: 'dashboard', rules, username: 'dashboard' } })
  const listed = (await call('GET', '/v1/applications')).body['applications']
  expect(listed).toEqual([{ name: 'dashboard', rules, createsDevices: false, createdAt: '2023-11-14T22:13:20Z' }])
  expect((await call('POST', '/v1/applications', { payload: { name: 'dashboard', rules } })).status).toBe(409)
  expect((await call('DELETE', '/v1/applications/dashboard')).status).toBe(204)
  expect((await call('DELETE', '/v1/applications/dashboard')).status).toBe(404)
  expect(registry.audited).toEqual(['admin application.create dashboard', 'admin application.remove dashboard'])
})

it.each([
  [{ effect: 'allow', action: 'publish', topic: 'a/#/b' }, 'filter_invalid'],
  [{ effect: 'allow', action: 'publish', topic: '$SYS/#' }, 'filter_invalid'],
  [{ effect: 'maybe', action: 'publish', topic: 'a' }, 'bad_request'],
  [{ effect: 'allow', action: 'publish' }, 'bad_request'],
])('refuses the rule %j', async (rule, code) => {
  const { call } = await openApi()
  const answer = await call('POST', '/v1/applications', { payload: { name: 'x', rules: [rule] } })
  expect(answer).toMatchObject({ status: 400, body: { code } })
})

function state(stream: string, offset: number, value: number | bigint): StreamState {
  const type = typeof value === 'bigint' ? 'integer' : 'float'
  const fields = { v: { time: { ms: 1_767_225_600_123, ns: 456_789 }, value, type } as const }
  return {
    tenant: 'demo',
    device: 'first',
    stream,
    fields,
    lastSeenMs: 1_767_225_601_000 + offset,
    log: 'l',
    partition: 0,
    offset,
  }
}

it('latest: the later of registry and cache counts, per stream', async () => {
  const { call, registry, cache } = await openApi()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  await registry.writeState([state('behind', 1, 10), state('ahead', 9, 20)])
  const cached = [state('behind', 5, 11), state('ahead', 3, 19), state('telemetry', 2, 2n ** 60n)]
  await cache.setMany(cached.map((one) => ({ key: latestKey('demo', 'first', one.stream), value: encodeLatest(one) })))
  const { body } = await call('GET', '/v1/devices/demo/first/latest')
  expect(body).toMatchObject({ tenant: 'demo', device: 'first', lastSeen: '2026-01-01T00:00:01.009Z' })
  expect(body['streams']).toEqual([
    {
      stream: 'ahead',
      lastSeen: '2026-01-01T00:00:01.009Z',
      fields: { v: { value: 20, type: 'float', time: 1_767_225_600_123 } },
    },
    {
      stream: 'behind',
      lastSeen: '2026-01-01T00:00:01.005Z',
      fields: { v: { value: 11, type: 'float', time: 1_767_225_600_123 } },
    },
    {
      stream: 'telemetry',
      lastSeen: '2026-01-01T00:00:01.002Z',
      fields: { v: { value: '1152921504606846976', type: 'integer', time: 1_767_225_600_123 } },
    },
  ])
})

it('latest: of the database alone while the cache is away, and it says so', async () => {
  const { call, cache, registry } = await openApi()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  await registry.writeState([state('telemetry', 1, 1)])
  const url = '/v1/devices/demo/first/latest'
  expect((await call('GET', url)).headers).not.toHaveProperty('sluice-cache')
  cache.available = false
  const answer = await call('GET', url)
  expect(answer).toMatchObject({ status: 200, headers: { 'sluice-cache': 'unavailable' } })
  expect(answer.body['streams']).toMatchObject([{ stream: 'telemetry' }])
})

it.each(['hangs', 'is away'])('latest: without the store, which %s, and it says so', async (how) => {
  const { call, points, registry } = await openApi()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  await registry.writeState([state('telemetry', 1, 1)])
  const url = '/v1/devices/demo/first/latest'
  expect((await call('GET', url)).headers).not.toHaveProperty('sluice-points')
  points.series = () =>
    how === 'hangs' ? new Promise(() => undefined) : Promise.reject(new SluiceError('store_unavailable', 'away'))
  const answer = await call('GET', url)
  expect(answer).toMatchObject({ status: 200, headers: { 'sluice-points': 'unavailable' } })
  expect(answer.body['streams']).toMatchObject([{ stream: 'telemetry' }])
})

it('latest: nothing yet, no device, and a removed device leaves nothing behind', async () => {
  const { call, cache } = await openApi()
  expect((await call('GET', '/v1/devices/demo/first/latest')).status).toBe(404)
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  const empty = { tenant: 'demo', device: 'first', lastSeen: null, streams: [] }
  expect((await call('GET', '/v1/devices/demo/first/latest')).body).toEqual(empty)
  await cache.setMany([{ key: latestKey('demo', 'first', 'telemetry'), value: encodeLatest(state('telemetry', 1, 1)) }])
  await call('DELETE', '/v1/devices/demo/first')
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  expect((await call('GET', '/v1/devices/demo/first/latest')).body).toEqual(empty)
})
