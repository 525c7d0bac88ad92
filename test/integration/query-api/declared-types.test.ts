import { expect, it } from 'vitest'
import { openApi } from './api.ts'

it('types of fields are declared over HTTP, by administrators alone, and audited', async () => {
  const { call, registry } = await openApi()
  expect((await call('GET', '/v1/types')).body).toEqual({ types: [], contractsRefused: null })
  const total = { tenant: 'demo', stream: 'meter', field: 'total' }
  const put = await call('PUT', '/v1/types', { payload: { ...total, type: 'integer' } })
  const declared = { ...total, type: 'integer', since: expect.any(String) as string, who: 'admin', files: {} }
  expect(put).toMatchObject({ status: 200, body: declared })
  await call('PUT', '/v1/types', { payload: { tenant: 'demo', field: 'total', type: 'float' } })
  const other = { ...declared, stream: 'telemetry', type: 'float' }
  expect((await call('GET', '/v1/types?tenant=demo')).body).toMatchObject({ types: [declared, other] })
  expect((await call('GET', '/v1/types?tenant=other')).body).toEqual({ types: [], contractsRefused: null })
  expect(registry.audited).toEqual(['admin types.set demo/meter total', 'admin types.set demo/telemetry total'])
  const wrong = [
    { ...total, type: 'string' },
    { tenant: 'demo', type: 'integer' },
    { ...total, minimum: 1 },
  ]
  for (const payload of wrong) expect((await call('PUT', '/v1/types', { payload })).status).toBe(400)
  expect((await call('PUT', '/v1/types', { payload: { ...total, type: 'float' }, token: 'none' })).status).toBe(401)
})

it('what a field means is changed part by part, and shown where its values are', async () => {
  const { call, registry, points } = await openApi()
  const name = { tenant: 'demo', stream: 'telemetry', field: 'temperature' }
  const put = (payload: object) => call('PUT', '/v1/types', { payload: { ...name, ...payload } })
  await put({ unit: '°C', min: -40, max: 20, interval: 60 })
  expect((await put({ name: 'Air', interval: 30, min: null })).body).toMatchObject({
    ...name,
    ...{ type: 'float', unit: '°C', name: 'Air', max: 20, interval: 30, files: {} },
  })
  const wrong: [object, string][] = [
    [{ min: 21 }, 'min is 21, above max, which is 20'],
    [{ max: null, outside: 'mark' }, 'outside needs min or max'],
    [{ unit: ' ' }, 'unit is " ": it must be a text'],
    [{ interval: -1 }, 'interval is -1: it must be seconds'],
  ]
  for (const [payload, detail] of wrong) {
    expect(await put(payload)).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining(detail) as string },
    })
  }
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  const time = { ms: Date.now() - 61_000, ns: 0 }
  const series = { ...name, device: registry.names.uidOf('demo', 'first'), type: 'float' as const }
  await points.write({ series: [series], ms: [time.ms], ns: [0], values: [21.5] })
  const state = { tenant: 'demo', device: series.device, stream: 'telemetry', lastSeenMs: time.ms }
  const fields = { temperature: { value: 21.5, type: 'float' as const, time } }
  await registry.writeState([{ ...state, fields, log: 'l', partition: 0, offset: 1 }])
  const shown = { unit: '°C', name: 'Air' }
  const silentSince = new Date(time.ms).toISOString()
  const path = '/v1/devices/demo/first'
  expect((await call('GET', `${path}/latest`)).body['streams']).toMatchObject([
    { fields: { temperature: { ...shown, outside: '21.5 is above the declared max 20', silentSince } } },
  ])
  expect((await call('GET', `${path}/readings`)).body['series']).toMatchObject([{ field: 'temperature', ...shown }])
  const listed = [{ fields: [{ field: 'temperature', type: 'float', ...shown }] }]
  expect((await call('GET', `${path}/fields`)).body['streams']).toMatchObject(listed)
  expect((await call('GET', path)).body['streams']).toMatchObject([{ fields: [{ interval: 30, silentSince }] }])
})
