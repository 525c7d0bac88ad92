import { describe, expect, it } from 'vitest'
import { openApi } from './api.ts'

const path = '/v1/policies?tenant=acme'
const number = { quoted_numbers: 'number' }

describe('policies over HTTP', () => {
  it('are shown with what is in force, changed by revision, and audited', async () => {
    const { call, registry } = await openApi()
    expect((await call('GET', path)).body).toMatchObject({ tenant: 'acme', revision: 0, at: null, document: {} })
    const put = await call('PUT', path, { payload: { revision: 0, document: { streams: { door: number } } } })
    expect(put).toMatchObject({ status: 200, body: { revision: 1, who: 'admin' } })
    await call('PUT', '/v1/policies', { payload: { revision: 0, document: number } })
    const late = await call('PUT', path, { payload: { revision: 0, document: {} } })
    expect(late).toMatchObject({ status: 409, body: { code: 'policy_changed' } })
    const setting = async (url: string) => (await call('GET', url)).body['settings']
    const set = { name: 'quoted_numbers', value: 'number', file: null, who: 'admin' }
    expect(await setting(`${path}&stream=door`)).toContainEqual({ ...set, from: 'stream' })
    expect(await setting(path)).toContainEqual({ ...set, from: 'default' })
    expect((await call('GET', '/v1/policies/list')).body['policies']).toHaveLength(2)
    expect((await call('GET', `/v1/policies/history?tenant=acme`)).body['revisions']).toHaveLength(1)
    expect(registry.audited).toEqual(['admin policies.set acme', 'admin policies.set default of all tenants'])
  })

  it('that are none are refused with their place, and those before stay in force', async () => {
    const { call } = await openApi()
    const wrong = { revision: 0, document: { streams: { door: { quoted_numbers: 7 } } } }
    const answer = await call('PUT', path, { payload: wrong })
    expect(answer).toMatchObject({ status: 400, body: { code: 'policy_invalid' } })
    expect(answer.body['detail']).toContain('streams.door.quoted_numbers is 7')
    expect((await call('GET', path)).body['revision']).toBe(0)
    expect((await call('PUT', '/v1/policies?tenant=a%2Fb', { payload: wrong })).status).toBe(400)
    expect((await call('PUT', path, { payload: wrong, token: 'none' })).status).toBe(401)
    expect((await call('GET', '/v1/policies?stream=door')).status).toBe(400)
  })
})
