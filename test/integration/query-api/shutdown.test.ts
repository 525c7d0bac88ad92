import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { expect, it, onTestFinished, vi } from 'vitest'
import { openApi } from './api.ts'
import { openEvents } from './event-reader.ts'
import { PATIENCE } from '../../patience.ts'

async function openListening() {
  const api = await openApi()
  await api.call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  await api.app.listen({ host: '127.0.0.1', port: 0 })
  const port = (api.app.server.address() as AddressInfo).port
  const agent = new Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  const post = async (body: string) => {
    const headers = { authorization: `Bearer ${api.token}` }
    const call = request({
      host: '127.0.0.1',
      port,
      path: '/v1/devices/demo/first/readings',
      method: 'POST',
      headers,
      agent,
    })
    call.end(body)
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
    return { status: response.statusCode, text }
  }
  return { ...api, port, post }
}

it('what is in flight is finished before close resolves, idle connections do not hold it up', async () => {
  const { app, log, post, token } = await openListening()
  await post('{"n":0}')
  const gate = Promise.withResolvers<void>()
  log.appendGate = gate.promise
  const inFlight = Array.from({ length: 20 }, (_, n) => post(`{"n":${n}}`))
  await vi.waitFor(async () => expect(await pendingAppends(app, token)).toBe(20), PATIENCE)
  let closed = false
  const closing = app.close().then(() => (closed = true))
  await vi.waitFor(() => expect(app.server.listening).toBe(false), PATIENCE)
  expect(closed).toBe(false)
  gate.resolve()
  const answers = await Promise.all(inFlight)
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 202))
  await closing
  expect(log.records('telemetry.raw')).toHaveLength(21)
})

async function pendingAppends(app: Awaited<ReturnType<typeof openApi>>['app'], token: string): Promise<number> {
  const { body } = await app.inject({ url: '/metrics', headers: { authorization: `Bearer ${token}` } })
  return Number(/^sluice_http_appends_pending (\d+)$/m.exec(body)?.[1])
}

it('live views end at once, and the reader of the log with them', async () => {
  const { app, log, port, token } = await openListening()
  const readers = [
    await openEvents(`http://127.0.0.1:${port}/v1/stream`, token),
    await openEvents(`http://127.0.0.1:${port}/v1/stream`, token),
  ]
  await Promise.all([app.close(), ...readers.map((reader) => reader.ended())])
  expect(log.reading).toBe(0)
})

it('a live view whose client does not read is cut off', async () => {
  const { app, log, port, token } = await openListening()
  const stuck = connect(port, '127.0.0.1')
  onTestFinished(() => void stuck.destroy())
  stuck
    .on('error', () => undefined)
    .write(`GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  await once(stuck, 'readable')
  const text = 'x'.repeat(15_000)
  for (let i = 0; i < 400; i += 1) {
    const value = Buffer.from(`{"a":"${text}","b":"${text}","c":"${text}"}`)
    await log.append('telemetry.raw', [{ key: 'demo/first', value, ms: 1, ns: 0, headers: undefined }])
  }
  // Without the limit that all requests have.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  await app.close()
})

it('a request that does not end is cut off after 5 s', async () => {
  const { app, log, post, token } = await openListening()
  log.appendGate = new Promise(() => undefined)
  const inFlight = post('{"n":1}').catch((error: NodeJS.ErrnoException) => error.code)
  await vi.waitFor(async () => expect(await pendingAppends(app, token)).toBe(1), PATIENCE)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const closing = app.close()
  while (app.server.listening) await setImmediate()
  vi.advanceTimersByTime(5000)
  await closing
  expect(await inFlight).toBe('ECONNRESET')
})

it('a request that comes on an open connection while it closes is told so', async () => {
  const { app, log, port, token, post } = await openListening()
  const gate = Promise.withResolvers<void>()
  log.appendGate = gate.promise
  const inFlight = post('{"n":1}')
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  const head = `GET /v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n`
  socket.write(head)
  await once(socket, 'connect')
  await vi.waitFor(async () => expect(await pendingAppends(app, token)).toBe(1), PATIENCE)
  const closing = app.close()
  await vi.waitFor(() => expect(app.server.listening).toBe(false), PATIENCE)
  let answer = ''
  socket.on('data', (chunk: string) => (answer += chunk)).write('\r\n')
  await once(socket, 'close')
  expect(answer).toMatch(/^HTTP\/1.1 503 /)
  expect(answer).toContain('"code":"closed"')
  gate.resolve()
  expect((await inFlight).status).toBe(202)
  await closing
})

it('close may be called twice, and without having listened', async () => {
  const { app } = await openApi()
  await Promise.all([app.close(), app.close()])
})
