import { expect, it } from 'vitest'
import { openApi } from './api.ts'

it('types of fields are declared over HTTP, by administrators alone, and audited', async () => {
  const { call, registry } = await openApi()
  expect((await call('GET', '/v1/types')).body).toEqual({ types: [] })
  const total = { tenant: 'demo', stream: 'meter', field: 'total' }
  const put = await call('PUT', '/v1/types', { payload: { ...total, type: 'integer' } })
  const declared = { ...total, type: 'integer', since: expect.any(String) as string, who: 'admin' }
  expect(put).toMatchObject({ status: 200, body: declared })
  await call('PUT', '/v1/types', { payload: { tenant: 'demo', field: 'total', type: 'float' } })
  const other = { ...declared, stream: 'telemetry', type: 'float' }
  expect((await call('GET', '/v1/types?tenant=demo')).body).toEqual({ types: [declared, other] })
  expect((await call('GET', '/v1/types?tenant=other')).body).toEqual({ types: [] })
  expect(registry.audited).toEqual(['admin types.set demo/meter total', 'admin types.set demo/telemetry total'])
  const wrong = [{ ...total, type: 'string' }, { ...total }, { tenant: 'demo', type: 'integer' }]
  for (const payload of wrong) expect((await call('PUT', '/v1/types', { payload })).status).toBe(400)
  expect((await call('PUT', '/v1/types', { payload: { ...total, type: 'float' }, token: 'none' })).status).toBe(401)
})
