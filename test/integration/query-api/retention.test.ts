import { describe, expect, it, vi } from 'vitest'
import { PATIENCE } from '../../patience.ts'
import { openReal } from './real-api.ts'

const HOUR_MS = 3_600_000

describe('how long readings are kept', () => {
  it('is set per tenant, audited, and holds at once', async () => {
    const real = await openReal()
    const { call } = real
    await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'probe' } })
    const now = Date.now()
    const payload = JSON.stringify([50, 20, 1].map((hours) => ({ ts: now - hours * HOUR_MS, hours })))
    await call('POST', '/v1/devices/demo/probe/readings', { payload })
    const stored = async () => {
      const { body } = await call('GET', '/v1/devices/demo/probe/readings?field=hours')
      return (body['series'] as { points: [number, number][] }[]).flatMap(({ points }) => points.map(([, v]) => v))
    }
    await vi.waitFor(async () => expect(await stored()).toEqual([50, 20, 1]), PATIENCE)
    expect((await call('GET', '/v1/retention')).body).toEqual({ mostSeconds: null, tenants: [] })
    const put = await call('PUT', '/v1/retention/demo', { payload: { keepSeconds: 30 * 3_600 } })
    const kept = { mostSeconds: null, tenants: [{ tenant: 'demo', keepSeconds: 30 * 3_600 }] }
    expect(put).toMatchObject({ status: 200, body: kept })
    expect(await stored()).toEqual([20, 1])
    expect((await call('GET', '/v1/retention')).body).toEqual(kept)
    const { body } = await call('GET', '/v1/audit')
    expect(body['entries']).toContainEqual(
      expect.objectContaining({ action: 'retention.set', subject: 'demo', detail: '108000 s' }),
    )
    const forEver = await call('PUT', '/v1/retention/demo', { payload: { keepSeconds: null } })
    expect(forEver.body).toEqual({ mostSeconds: null, tenants: [] })
  })

  it.each([
    ['a minute', '/v1/retention/demo', { keepSeconds: 60 }],
    ['no time', '/v1/retention/demo', {}],
    ['something else', '/v1/retention/demo', { keepSeconds: 3600, kept: 1 }],
    ['no tenant', '/v1/retention/a%2Fb', { keepSeconds: 3600 }],
  ])('is not %s', async (_what, path, payload) => {
    const { call } = await openReal()
    expect(await call('PUT', path, { payload })).toMatchObject({ status: 400 })
  })
})
