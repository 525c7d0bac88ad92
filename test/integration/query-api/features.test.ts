import { expect, it } from 'vitest'
import { WORKER_FEATURES } from '../../../shared/features.ts'
import type { GroupOwner } from '../../../shared/log/port.ts'
import { openApi } from './api.ts'

it('a format is not written while a live worker does not read it, and is when that one is gone', async () => {
  const fresh = { id: 'new', host: '10.0.0.1', partitions: [0], features: [...WORKER_FEATURES, 'of-tomorrow'] }
  const old = { id: 'old', host: '10.0.0.2', partitions: [1], features: [] }
  let live: readonly GroupOwner[] = [fresh, old]
  const { call, registry } = await openApi({ workers: async () => live })
  const integer = { tenant: 'demo', field: 'total', type: 'integer' }
  const refused = await call('PUT', '/v1/types', { payload: integer })
  expect(refused).toMatchObject({ status: 409, body: { code: 'feature_missing' } })
  expect(refused.body['detail']).toContain('1 of 2 workers do not read declared-types: 10.0.0.2')
  expect(await call('POST', '/v1/dead-letters/replay', { payload: {} })).toMatchObject({
    status: 409,
    body: { code: 'feature_missing' },
  })
  expect([await registry.declaredTypes.list(), registry.audited]).toEqual([[], []])
  expect((await call('GET', '/v1/workers')).body['workers']).toMatchObject([
    { id: 'new', features: fresh.features },
    { id: 'old', features: [] },
  ])
  const policies = (document: object) => call('PUT', '/v1/policies', { payload: { revision: 0, document } })
  expect(await policies({ decoder: 'json' })).toMatchObject({ status: 409, body: { code: 'feature_missing' } })
  live = [fresh]
  expect(await policies({ decoder: 'json' })).toMatchObject({ status: 200 })
  expect(await call('PUT', '/v1/types', { payload: integer })).toMatchObject({ status: 200 })
})
