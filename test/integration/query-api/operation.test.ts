import { expect, it } from 'vitest'
import { queryApiSettings } from '../../../config/query-api.ts'
import { loadConfig } from '../../../shared/config.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { openApi } from './api.ts'

const withEnv = (env: Record<string, string>) => loadConfig(queryApiSettings, env)

it('healthz says the process answers, whatever else is broken', async () => {
  const { call, registry } = await openApi()
  registry.verifyApiKey = async () => {
    throw new SluiceError('registry_unavailable', 'no')
  }
  expect(await call('GET', '/healthz', { token: null })).toMatchObject({ status: 200, body: { status: 'ok' } })
})

it('readyz names every check and is 503 when one fails', async () => {
  const results = { log: true, points: true }
  const checks = Object.entries(results).map(([name]) => ({
    name,
    check: async () => (results[name as 'log'] ? { ok: true } : { ok: false, detail: 'behind by 5,000 records' }),
  }))
  const { call } = await openApi({ checks })
  const good = await call('GET', '/readyz', { token: null })
  expect(good).toMatchObject({
    status: 200,
    body: {
      ready: true,
      checks: [
        { name: 'log', ok: true },
        { name: 'points', ok: true },
      ],
    },
  })
  results.points = false
  const bad = await call('GET', '/readyz', { token: null })
  expect(bad.status).toBe(503)
  expect(bad.body).toEqual({
    ready: false,
    checks: [
      { name: 'log', ok: true },
      { name: 'points', ok: false, detail: 'behind by 5,000 records' },
    ],
  })
})

it('readyz: a check that throws is shown by its code, and its message only in the log', async () => {
  const checks = [
    { name: 'registry', check: () => Promise.reject(new SluiceError('registry_unavailable', 'root:pw@10.0.0.1')) },
    { name: 'points', check: () => Promise.reject(new Error('/home/x')) },
  ]
  const { call, logged } = await openApi({ checks })
  const { status, body, text } = await call('GET', '/readyz', { token: null })
  expect(status).toBe(503)
  expect(body['checks']).toEqual([
    { name: 'registry', ok: false, detail: 'registry_unavailable' },
    { name: 'points', ok: false, detail: 'internal' },
  ])
  expect(text).not.toMatch(/pw|home/)
  expect(logged.join('')).toContain('/home/x')
})

it('readyz: a check that does not answer is not ready, and many askers run it once', async () => {
  let asked = 0
  const checks = [{ name: 'log', check: () => new Promise<never>(() => (asked += 1)) }]
  const { call } = await openApi({ checks })
  const answers = await Promise.all([1, 2, 3].map(() => call('GET', '/readyz', { token: null })))
  expect(asked).toBe(1)
  for (const { status, body } of answers) {
    expect(status).toBe(503)
    expect(body['checks']).toEqual([{ name: 'log', ok: false, detail: 'no answer within 2 s' }])
  }
})

it('metrics: by route template, never by what clients make up', async () => {
  const { call } = await openApi()
  await call('GET', '/v1/devices/demo/first')
  await call('GET', '/v1/devices/demo/second')
  await call('GET', '/made-up')
  const { status, text } = await call('GET', '/metrics')
  expect(status).toBe(200)
  expect(text).toContain(
    'sluice_http_request_seconds_count{method="GET",route="/v1/devices/:tenant/:device",status="404"} 2',
  )
  expect(text).toContain('sluice_http_request_seconds_count{method="GET",route="none",status="404"} 1')
  expect(text).not.toMatch(/demo|made-up/)
})

it('metrics need a token, from this host, too: a proxy on it hands on whoever asks', async () => {
  const { app, token } = await openApi({ settings: withEnv({ METRICS_TOKEN: 'scraper' }) })
  const ask = async (headers: Record<string, string>) =>
    (await app.inject({ url: '/metrics', remoteAddress: '127.0.0.1', headers })).statusCode
  expect(await ask({})).toBe(401)
  expect(await ask({ authorization: `Bearer ${token}` })).toBe(200)
  expect(await ask({ authorization: 'Bearer scraper' })).toBe(200)
  for (const wrong of ['Bearer scrapers', 'Bearer scrape', 'Bearer', 'Basic scraper', 'scraper']) {
    expect(await ask({ authorization: wrong }), wrong).toBe(401)
  }
  const reading = await app.inject({ url: '/v1/devices', headers: { authorization: 'Bearer scraper' } })
  expect(reading.statusCode).toBe(401)
})

it.each([
  ['127.0.0.1', 401],
  ['::1', 401],
  ['10.1.2.3', 200],
  ['::ffff:10.1.2.3', 200],
  ['192.0.2.9', 200],
  ['192.0.2.8', 401],
  ['2001:db8::7', 200],
  ['2001:db9::7', 401],
  ['fe80::1%eth0', 401],
])('metrics asked without a token from %s, where networks are named: %i', async (remoteAddress, expected) => {
  const settings = withEnv({ METRICS_FROM: '10.0.0.0/8, 192.0.2.9,2001:db8::/32' })
  const { app } = await openApi({ settings })
  const ask = async (headers = {}) => (await app.inject({ url: '/metrics', remoteAddress, headers })).statusCode
  expect(await ask()).toBe(expected)
  for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host']) {
    expect(await ask({ [name]: '10.1.2.3' }), `handed on with ${name}`).toBe(401)
  }
})

it('metrics behind a listed proxy are for the address that it names', async () => {
  const { app } = await openApi({ settings: withEnv({ METRICS_FROM: '192.0.2.9', HTTP_PROXY_FROM: '127.0.0.1' }) })
  const ask = async (forwardedFor: string, remoteAddress = '127.0.0.1') => {
    const headers = { 'x-forwarded-for': forwardedFor }
    return (await app.inject({ url: '/metrics', remoteAddress, headers })).statusCode
  }
  expect(await ask('192.0.2.9')).toBe(200)
  expect(await ask('192.0.2.9, 192.0.2.8')).toBe(401)
  expect(await ask('192.0.2.9', '192.0.2.8')).toBe(401)
})

it('status fills in snippets', async () => {
  const status = () => ({ mode: 'standalone' as const, mqtt: { host: '10.0.0.9', port: 1884 }, readings: 42 })
  const { call } = await openApi({ status })
  const build = { version: '0.0.0-test', commit: null, node: 'v0.0.0-test' }
  const expected = { ...build, mode: 'standalone', mqtt: { host: '10.0.0.9', port: 1884 }, readings: 42 }
  expect((await call('GET', '/v1/status')).body).toMatchObject(expected)
})

it('status tells what waits in the log and when retention reaches it, or that it is not known', async () => {
  const { call, log } = await openApi()
  const rest = { committed: 0, end: 9 }
  log.lag = async () => [
    { partition: 0, records: 2, seconds: 5, horizon: { seconds: 60, used: 0.2 }, ...rest },
    { partition: 1, records: 3, seconds: 9, horizon: { seconds: 40, used: 0.4 }, ...rest },
    { partition: 2, records: 0, seconds: 0, ...rest },
  ]
  expect((await call('GET', '/v1/status')).body).toMatchObject({
    unstored: { records: 5, seconds: 9, retention: { seconds: 40, used: 0.4 } },
  })
  log.lag = async () => {
    throw new SluiceError('log_unavailable', 'no answer')
  }
  expect(await call('GET', '/v1/status')).toMatchObject({ status: 200, body: { unstored: null } })
})

it('docs: the document and the page are there without a token, under a policy without inline script', async () => {
  const { app } = await openApi()
  const json = await app.inject('/docs/json')
  expect(json.json()).toMatchObject({ openapi: '3.1.0' })
  const page = await app.inject('/docs')
  expect(page.statusCode).toBe(200)
  const policy = String(page.headers['content-security-policy'])
  expect(policy).toContain("default-src 'none'")
  expect(policy).not.toMatch(/unsafe|https?:/)
  expect(page.body).not.toMatch(/<script(?![^>]*src=)|<style|\son\w+=/)
  for (const [, path = ''] of page.body.matchAll(/(?:src|href)="([^"]+)"/g)) {
    expect((await app.inject(new URL(path, 'http://x/docs').pathname)).statusCode, path).toBe(200)
  }
})

it('readyz: a shared server that fails or hangs is told, at once, and leaves the process ready; the metric says so', async () => {
  const failing = new Set(['registry'])
  const check = (name: string) => async () => ({ ok: !failing.has(name) })
  const checks = [
    { name: 'registry', isShared: true, check: check('registry') },
    { name: 'points', isShared: true, check: () => new Promise<never>(() => undefined) },
    { name: 'broker', check: check('broker') },
  ]
  const { call } = await openApi({ checks })
  const { status, body } = await call('GET', '/readyz', { token: null })
  expect(status).toBe(200)
  expect(body['checks']).toEqual([
    { name: 'registry', shared: true, ok: false },
    { name: 'points', shared: true, ok: false, detail: 'no answer yet' },
    { name: 'broker', ok: true },
  ])
  const { text } = await call('GET', '/metrics')
  expect(text).toContain('sluice_ready{check="registry"} 0')
  expect(text).toContain('sluice_ready{check="broker"} 1')
  failing.add('broker')
  expect((await call('GET', '/readyz', { token: null })).status).toBe(503)
})
