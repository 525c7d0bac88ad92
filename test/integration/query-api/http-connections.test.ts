import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { queryApiSettings } from '../../../config/query-api.ts'
import { loadConfig } from '../../../shared/config.ts'
import { openApi } from './api.ts'
import { openEvents } from './event-reader.ts'

const MAX = 10

async function openSmall(env: Record<string, string> = {}) {
  const settings = loadConfig(queryApiSettings, { HTTP_CONNECTIONS_MAX: String(MAX), ...env })
  const api = await openApi({ settings })
  await api.app.listen({ host: '127.0.0.1', port: 0 })
  const port = (api.app.server.address() as AddressInfo).port
  const dial = async (begin = '') => {
    const socket = connect(port, '127.0.0.1').setEncoding('utf8')
    onTestFinished(() => void socket.destroy())
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => {})
    // One that is turned away may be reset before it is seen to connect.
    await Promise.race([new Promise((resolve) => socket.once('connect', resolve)), closed])
    if (begin !== '') socket.write(begin)
    let text = ''
    socket.on('data', (chunk: string) => (text += chunk))
    return { socket, closed, text: () => text }
  }
  const turned = async (): Promise<Record<string, number>> => {
    const lines = await api.metrics.getSingleMetricAsString('sluice_http_connections_turned_away_total')
    return Object.fromEntries([...lines.matchAll(/reason="(\w+)"} (\d+)/g)].map(([, why = '', n]) => [why, Number(n)]))
  }
  return { ...api, port, url: `http://127.0.0.1:${port}`, dial, turned }
}

it('connections that say nothing, or half of a header, shut nobody out', async () => {
  const { url, port, token, dial, turned, metrics } = await openSmall()
  const view = await openEvents(`http://127.0.0.1:${port}/v1/stream`, token)
  const silent = []
  for (let i = 0; i < 3 * MAX; i += 1)
    silent.push(await dial(i % 2 === 0 ? '' : 'GET / HTTP/1.1\r\nHost: localhost\r\nX-a: '))
  for (const path of ['/healthz', '/readyz', '/v1/status']) {
    const headers = { authorization: `Bearer ${token}`, connection: 'close' }
    expect((await fetch(url + path, { headers })).status).toBe(200)
  }
  await silent[0]?.closed
  expect((await turned())['displaced']).toBeGreaterThan(2 * MAX)
  const open = await metrics.getSingleMetricAsString('sluice_http_connections')
  expect(Number(/ (\d+)$/.exec(open)?.[1])).toBeLessThanOrEqual(MAX)
  view.close()
})

it('a request whose caller is known is never cut for a newcomer, which is refused where nobody is idle', async () => {
  const { port, token, dial, turned } = await openSmall()
  const views = []
  for (let i = 0; i < MAX; i += 1) views.push(await openEvents(`http://127.0.0.1:${port}/v1/stream`, token))
  const refused = await dial()
  await refused.closed
  expect(await turned()).toEqual({ full: 1 })
  views[0]?.close()
  views.shift()
  for (const view of views) view.close()
})

it.each([
  ['says nothing', ''],
  ['sends a header a byte at a time', 'GET /healthz HTTP/1.1\r\nX: '],
  [
    'sends a body a byte at a time',
    'POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{',
  ],
])('one that %s is closed at its deadline', async (_what, begin) => {
  const { dial, turned } = await openSmall({ HTTP_REQUEST_SECONDS: '1' })
  const { socket, closed, text } = await dial(begin)
  const drip = setInterval(() => begin === '' || socket.write('y'), 50)
  await closed
  clearInterval(drip)
  expect(await turned()).toEqual({ too_slow: 1 })
  expect(text()).toMatch(/^(HTTP\/1.1 408 Request Timeout\r\n[^]*"code":"request_too_slow"|$)/)
})
