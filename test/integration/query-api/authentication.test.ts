import { expect, it, vi } from 'vitest'
import { SluiceError } from '../../../shared/errors.ts'
import { openApi } from './api.ts'

const RULES = [{ effect: 'allow', action: 'publish', topic: 't/demo/first/telemetry' }]

it.each([
  ['no token', {}, 'token_missing'],
  ['another scheme', { authorization: 'Basic YTpi' }, 'token_missing'],
  ['an empty token', { authorization: 'Bearer ' }, 'token_missing'],
  ['a wrong token', { authorization: 'Bearer nonsense' }, 'token_invalid'],
  ['a very long token', { authorization: `Bearer ${'x'.repeat(8000)}` }, 'token_invalid'],
  ['a session that never was', { authorization: 'Bearer session.nonsense' }, 'session_ended'],
])('%s is 401 with a challenge', async (_name, headers, code) => {
  const { call } = await openApi()
  const answer = await call('GET', '/v1/devices', { token: null, headers })
  expect(answer).toMatchObject({ status: 401, body: { code } })
  expect(answer.headers['www-authenticate']).toMatch(/^Bearer realm="sluice"/)
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
})

it.each(['/v1/devices', '/v1/applications', '/v1/dead-letters', '/v1/stream', '/v1/status', '/v1/devices/a/b/latest'])(
  '%s needs a token',
  async (url) => {
    const { call } = await openApi()
    expect((await call('GET', url, { token: null })).status).toBe(401)
  },
)

it('takes no cookie, whatever it holds', async () => {
  const { call, token } = await openApi()
  const headers = { cookie: `sluice_token=${token}` }
  expect(await call('GET', '/v1/status', { token: null, headers })).toMatchObject({ body: { code: 'token_missing' } })
})

it('takes the scheme in any case', async () => {
  const { call, token } = await openApi()
  expect((await call('GET', '/v1/status', { headers: { authorization: `bearer ${token}` } })).status).toBe(200)
})

it('asks the registry once in 30 s for a key that is right, and each time for one that is wrong', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const { call, registry } = await openApi()
  for (let i = 0; i < 3; i += 1) await call('GET', '/v1/status')
  expect(registry.keyChecks).toBe(1)
  vi.setSystemTime(Date.now() + 30_001)
  await call('GET', '/v1/status')
  expect(registry.keyChecks).toBe(2)
  for (let i = 0; i < 3; i += 1) await call('GET', '/v1/status', { token: 'wrong' })
  expect(registry.keyChecks).toBe(5)
  vi.useRealTimers()
})

it.each([
  [new SluiceError('registry_unavailable', 'no answer'), 503, 'registry_unavailable'],
  [new TypeError('connect ECONNREFUSED 10.1.2.3:3306'), 500, 'internal'],
])('a registry that fails is not a wrong token: %s', async (error, status, code) => {
  const { call, registry } = await openApi()
  registry.verifyApiKey = async () => {
    throw error
  }
  const answer = await call('GET', '/v1/status')
  expect(answer).toMatchObject({ status, body: { code } })
  expect(answer.text).not.toContain('10.1.2.3')
})

it('a device posts its own readings with its own token, and does nothing else with it', async () => {
  const { call } = await openApi()
  const { body: device } = await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'second' } })
  const token = String(device['token'])
  const post = (url: string) => call('POST', url, { token, payload: '{"a":1}' })
  expect((await post('/v1/devices/demo/first/readings')).status).toBe(202)
  expect((await post('/v1/devices/demo/first/readings?stream=power')).status).toBe(202)
  expect(await post('/v1/devices/demo/second/readings')).toMatchObject({
    status: 403,
    body: { code: 'not_authorised' },
  })
  for (const url of ['/v1/devices', '/v1/devices/demo/first/readings', '/v1/devices/demo/first/latest']) {
    expect((await call('GET', url, { token })).status).toBe(401)
  }
})

it('an application posts where its rules allow it to publish', async () => {
  const { call } = await openApi()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  const { body } = await call('POST', '/v1/applications', { payload: { name: 'gateway', rules: RULES } })
  const post = (url: string) => call('POST', url, { token: String(body['token']), payload: '{"a":1}' })
  expect((await post('/v1/devices/demo/first/readings')).status).toBe(202)
  expect((await post('/v1/devices/demo/first/readings?stream=power')).status).toBe(403)
})
