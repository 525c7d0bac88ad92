import { afterEach, expect, it, vi } from 'vitest'
import { IDLE_MS, LIFE_MS } from '../../../services/query-api/browser-sessions.ts'
import { openApi } from './api.ts'
import { openEvents } from './event-reader.ts'
import { openLive } from './live-api.ts'

afterEach(() => vi.useRealTimers())

async function openSession(overrides: Parameters<typeof openApi>[0] = {}) {
  const api = await openApi(overrides)
  const open = async () => {
    const { status, body } = await api.call('POST', '/v1/session', { token: null, payload: { token: api.token } })
    expect(status).toBe(201)
    return String(body['token'])
  }
  const status = async (token: string) => (await api.call('GET', '/v1/status', { token })).body['code'] ?? 'ok'
  const ended = async () => (await api.metrics.getSingleMetric('sluice_http_sessions_ended_total')?.get())?.values
  return { ...api, open, status, ended, session: await open() }
}

it('a session has the rights of its key, for reading and for changes, and says how long', async () => {
  const { call, session, token } = await openSession()
  expect(session).not.toContain(token)
  const made = await call('POST', '/v1/devices', { token: session, payload: { tenant: 'demo', device: 'first' } })
  expect(made.status).toBe(201)
  const { body, headers } = await call('POST', '/v1/session', { token: null, payload: { token } })
  expect(body).toMatchObject({ lastsSeconds: 43_200, idleSeconds: 3_600 })
  expect(headers).toMatchObject({ 'cache-control': 'no-store' })
  expect(headers['set-cookie']).toBeUndefined()
})

it('is not opened with a wrong key, nor with another session', async () => {
  const { call, session } = await openSession()
  for (const token of ['nonsense', session]) {
    const answer = await call('POST', '/v1/session', { token: null, payload: { token } })
    expect(answer).toMatchObject({ status: 401, body: { code: 'token_invalid' } })
  }
})

it('takes back the cookie that an earlier version has set', async () => {
  const { call, token } = await openSession()
  const headers = { cookie: `a=b; sluice_token=${token}` }
  const answer = await call('POST', '/v1/session', { token: null, payload: { token }, headers })
  expect(answer.headers['set-cookie']).toMatch(/^sluice_token=; Path=\/; Max-Age=0;/)
})

it('ends when it logs out, and no other session with it', async () => {
  const { call, open, status, session, ended } = await openSession()
  const other = await open()
  expect((await call('DELETE', '/v1/session', { token: session })).status).toBe(204)
  expect(await status(session)).toBe('session_ended')
  expect(await status(other)).toBe('ok')
  expect(await ended()).toEqual([{ labels: { reason: 'log_out' }, value: 1 }])
  expect(await call('DELETE', '/v1/session')).toMatchObject({ status: 400, body: { code: 'bad_request' } })
})

it('ends an hour after it was used last, and after twelve however much it is used', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const { open, status, session: idle, ended } = await openSession()
  const used = await open()
  for (let passed = 0; passed + IDLE_MS / 2 < LIFE_MS; passed += IDLE_MS / 2) {
    expect(await status(used)).toBe('ok')
    vi.advanceTimersByTime(IDLE_MS / 2)
  }
  expect(await status(idle)).toBe('session_ended')
  expect(await status(used)).toBe('ok')
  vi.advanceTimersByTime(IDLE_MS / 2)
  expect(await status(used)).toBe('session_ended')
  expect(await ended()).toEqual([
    { labels: { reason: 'idle' }, value: 1 },
    { labels: { reason: 'age' }, value: 1 },
  ])
})

it('ends with the key, but not when the registry cannot be asked', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const { status, session, registry } = await openSession()
  let known: 'admin' | 'down' | undefined = 'down'
  registry.verifyApiKey = async () => {
    if (known === 'down') throw new Error('down')
    return known
  }
  vi.advanceTimersByTime(30_001)
  expect(await status(session)).toBe('internal')
  known = 'admin'
  expect(await status(session)).toBe('ok')
  known = undefined
  vi.advanceTimersByTime(30_001)
  expect(await status(session)).toBe('session_ended')
})

it('is one of a thousand: one more ends the one that was used longest ago', async () => {
  const { open, status, session, metrics } = await openSession()
  const second = await open()
  for (let i = 2; i < 1_000; i += 1) await open()
  expect(await status(session)).toBe('ok')
  await open()
  expect(await status(second)).toBe('session_ended')
  expect(await status(session)).toBe('ok')
  expect(await metrics.getSingleMetricAsString('sluice_http_sessions')).toContain('sluice_http_sessions 1000')
})

it('takes its live views along when it ends, and is in use while it has one', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const { call, port, token } = await openLive()
  const { body } = await call('POST', '/v1/session', { token: null, payload: { token } })
  const session = String(body['token'])
  const view = await openEvents(`http://127.0.0.1:${port}/v1/stream`, session)
  expect(view.status).toBe(200)
  vi.advanceTimersByTime(2 * IDLE_MS)
  expect((await call('DELETE', '/v1/session', { token: session })).status).toBe(204)
  await view.ended()
})
