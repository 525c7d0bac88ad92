import { expect, it } from 'vitest'
import { openApi } from './api.ts'

it('shows whether a device is connected, when it was last heard, and the limits that acted on it', async () => {
  const { call, registry, nodes } = await openApi()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  const before = await call('GET', '/v1/devices/demo/first')
  const nothing = { connected: false, since: null, reason: null, sessions: [] }
  expect(before.body).toMatchObject({ presence: nothing, limits: [] })
  const name = { tenant: 'demo', device: 'first' }
  const session = { ...name, clientId: 'c', epoch: 1, node: 'n1', address: '::1', sinceMs: 1_700_000_000_000 }
  registry.presence.of = async () => [
    { ...session, connected: true, reason: undefined },
    { ...session, clientId: 'd', connected: false, reason: 'keepalive' },
  ]
  registry.presence.limitsOf = async () => [{ ...name, code: 'byte_rate', limit: 10, sinceMs: 0, lastMs: 1, count: 2 }]
  registry.presence.ofAll = registry.presence.of
  const beforeAnswer = await call('GET', '/v1/devices/demo/first')
  // Its node does not answer: it was heard when it connected, at least.
  expect(beforeAnswer.body).toMatchObject({ connected: true, lastHeard: '2023-11-14T22:13:20Z' })
  nodes.heardMs = 1_700_000_100_000
  const { body } = await call('GET', '/v1/devices/demo/first')
  expect(body).toMatchObject({ connected: true, lastHeard: '2023-11-14T22:15:00Z', lastSeen: null })
  const list = await call('GET', '/v1/devices')
  expect(list.body['devices']).toMatchObject([{ device: 'first', connected: true, lastHeard: '2023-11-14T22:15:00Z' }])
  expect(body['presence']).toMatchObject({
    ...{ connected: true, since: '2023-11-14T22:13:20Z', reason: null },
    sessions: [
      { clientId: 'c', node: 'n1', reason: null, lastHeard: '2023-11-14T22:15:00Z' },
      { clientId: 'd', reason: 'keepalive', lastHeard: '2023-11-14T22:13:20Z' },
    ],
  })
  expect(body['limits']).toMatchObject([{ code: 'byte_rate', limit: 10, count: 2, last: '1970-01-01T00:00:00.001Z' }])
})
