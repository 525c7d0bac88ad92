import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { ERRORS, SluiceError, type ErrorCode } from '../../../shared/errors.ts'
import { openApi } from './api.ts'

it.each(Object.keys(ERRORS) as ErrorCode[])('%s becomes a problem with its status, code and fix', async (code) => {
  const { call, registry } = await openApi()
  registry.listApplications = async () => {
    throw new SluiceError(code, 'what happened')
  }
  const { status, body, headers } = await call('GET', '/v1/applications')
  expect(status).toBe(ERRORS[code].status)
  expect(body).toMatchObject({ type: 'about:blank', status, code, fix: ERRORS[code].fix })
  expect(headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(headers['www-authenticate'] !== undefined).toBe(status === 401)
})

it('an unexpected error tells where it is logged and nothing of itself', async () => {
  const { call, registry, logged } = await openApi()
  registry.listApplications = async () => {
    throw new Error('secret path /home/x')
  }
  const { status, body, text } = await call('GET', '/v1/applications')
  expect({ status, code: body['code'] }).toEqual({ status: 500, code: 'internal' })
  expect(text).not.toMatch(/secret|home|stack|\.ts/)
  const id = /request (\S+)\./.exec(String(body['detail']))?.[1]
  expect(logged.find((line) => line.includes('secret path'))).toContain(`"${id}"`)
})

it.each([
  ['GET', '/v1/nothing'],
  ['POST', '/v1/status'],
  ['DELETE', '/v1/devices'],
  ['GET', '/nothing'],
  ['GET', '/v1/devices/a/b/c/d'],
  ['POST', '/'],
] as const)('%s %s is not there', async (method, url) => {
  const { call } = await openApi()
  expect(await call(method, url)).toMatchObject({ status: 404, body: { code: 'not_found' } })
})

it.each(['/v1/devices/demo/%ff', `/v1/devices/demo/${'x'.repeat(5000)}`])('the path %.30s is wrong', async (url) => {
  const { call } = await openApi()
  const answer = await call('GET', url)
  expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
})

it.each([
  ['nonsense\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\n\r\n', 400],
  [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(40_000)}\r\n\r\n`, 400],
  ['POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n', 400],
])('bytes that are no request: %.30j', async (bytes, status) => {
  const { app } = await openApi()
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1').setEncoding('utf8')
  let answer = ''
  socket.on('data', (chunk: string) => (answer += chunk)).write(bytes)
  await once(socket, 'close')
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  if (!answer.includes('problem+json')) expect(answer).toMatch(/^HTTP\/1.1 400 Bad Request\r\nConnection: close/)
})

it('answers carry headers that keep browsers from doing more than they should', async () => {
  const { call } = await openApi()
  for (const url of ['/v1/status', '/v1/nothing', '/healthz']) {
    const { headers } = await call('GET', url)
    expect(headers['content-security-policy']).toBe("default-src 'none';frame-ancestors 'none'")
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(headers['access-control-allow-origin']).toBeUndefined()
    expect(headers['strict-transport-security']).toBeUndefined()
  }
})

it('each request is logged without what it was authorised with', async () => {
  const { call, logged, token } = await openApi()
  const { body: session } = await call('POST', '/v1/session', { token: null, payload: { token } })
  await call('GET', '/v1/devices?cursor=abc', { token: String(session['token']) })
  await call('GET', `/v1/devices?token=${token}`)
  const { body } = await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  await call('GET', '/v1/devices', { token: 'wrong-token' })
  const lines = logged.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === 'request')
  expect(lines.map(({ method, path, status, who }) => [method, path, status, who])).toEqual([
    ['POST', '/v1/session', 201, ''],
    ['GET', '/v1/devices', 200, 'admin'],
    ['GET', '/v1/devices', 400, 'admin'],
    ['POST', '/v1/devices', 201, 'admin'],
    ['GET', '/v1/devices', 401, ''],
  ])
  for (const secret of [
    token,
    String(session['token']),
    String(body['secret']),
    String(body['token']),
    'wrong-token',
  ]) {
    expect(logged.join('')).not.toContain(secret)
  }
})

it('a content type says nothing of a body that is not there', async () => {
  const { call, registry } = await openApi()
  await registry.createDevices([{ tenant: 'demo', device: 'first' }])
  const headers = { 'content-type': 'application/json' }
  expect((await call('DELETE', '/v1/devices/demo/first', { headers })).status).toBe(204)
  expect((await call('POST', '/v1/devices', { headers })).status).toBe(400)
})

it('every DELETE answers the same with a content type and no body as without', async () => {
  const { app, call } = await openApi()
  await app.ready()
  const paths = Object.entries(app.swagger().paths ?? {}).filter(([, of]) => of !== undefined && 'delete' in of)
  expect(paths.length).toBeGreaterThan(3)
  for (const [path] of paths) {
    const asked = path.replaceAll(/\{\w+\}/g, 'nobody')
    const plain = await call('DELETE', asked)
    const typed = await call('DELETE', asked, { headers: { 'content-type': 'application/json' } })
    expect({ path, status: typed.status, code: typed.body?.['code'] }).toEqual({
      ...{ path, status: plain.status, code: plain.body?.['code'] },
    })
  }
})
