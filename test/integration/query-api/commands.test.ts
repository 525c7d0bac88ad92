import { expect, it } from 'vitest'
import { openApi } from './api.ts'

const URL = '/v1/devices/demo/first/commands'

async function open() {
  const api = await openApi()
  await api.call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  return api
}

it.each([
  ['a text as it is', { payload: 'on' }, 'on'],
  ['anything else as JSON', { payload: { valve: 3 } }, '{"valve":3}'],
  ['bytes', { payloadBase64: 'AAH/' }, '\u0000\u0001\ufffd'],
  ['nothing', {}, ''],
])('sends %s', async (_what, content, text) => {
  const { call, nodes, registry } = await open()
  nodes.result = 'queued'
  const answer = await call('POST', URL, { payload: { name: 'valve/open', ...content } })
  expect(answer).toMatchObject({ status: 200, body: { result: 'queued' } })
  const [sent] = nodes.sent
  expect(sent).toMatchObject({ tenant: 'demo', device: 'first', name: 'valve/open', qos: 1, expiresMs: undefined })
  expect(Buffer.from(sent?.payload ?? []).toString()).toBe(text)
  expect(registry.audited).toContain('admin device.command demo/first')
})

it('counts the expiry from now', async () => {
  const { call, nodes } = await open()
  const before = Date.now()
  await call('POST', URL, { payload: { name: 'a', qos: 2, expirySeconds: 60 } })
  expect(nodes.sent[0]?.qos).toBe(2)
  expect(nodes.sent[0]?.expiresMs).toBeGreaterThanOrEqual(before + 60_000)
  expect(nodes.sent[0]?.expiresMs).toBeLessThanOrEqual(Date.now() + 60_000)
})

it.each([
  { name: '' },
  { name: 'a/#' },
  { name: 'a\u0000' },
  { name: 'a', qos: 3 },
  { name: 'a', expirySeconds: 0 },
  { name: 'a', payload: 'x', payloadBase64: 'eA==' },
])('refuses %j', async (payload) => {
  const { call, nodes } = await open()
  expect(await call('POST', URL, { payload })).toMatchObject({ status: 400, body: { code: 'bad_request' } })
  expect(nodes.sent).toEqual([])
})

it('refuses what is too long', async () => {
  const { call, nodes } = await open()
  for (const payload of [{ name: 'x'.repeat(600) }, { name: 'a', payload: 'x'.repeat(70_000) }]) {
    expect(await call('POST', URL, { payload })).toMatchObject({ status: 400, body: { code: 'bad_request' } })
  }
  expect(nodes.sent).toEqual([])
})

it('knows no device that is none', async () => {
  const { call } = await open()
  const answer = await call('POST', '/v1/devices/demo/none/commands', { payload: { name: 'a' } })
  expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } })
})

it('lists the nodes', async () => {
  const { call } = await open()
  const address = { host: '127.0.0.1', port: 1883 }
  // Of a version that does not say what it reads.
  const node = { id: 'n1', address, clients: 3, inFlight: 2, since: '2023-11-14T22:13:20Z', features: [] }
  expect((await call('GET', '/v1/nodes')).body).toEqual({ nodes: [node] })
})
