import { expect, it } from 'vitest'
import { openApi } from './api.ts'

const ask = (who: string, action: string, topic: string) =>
  `/v1/acl/explain?${new URLSearchParams({ who, action, topic }).toString()}`

it('explains a device by the rules that follow from its name', async () => {
  const { call } = await openApi()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  const own = await call('GET', ask('demo/first', 'publish', 't/demo/first/telemetry'))
  expect(own).toMatchObject({ status: 200, body: { kind: 'device', allowed: true } })
  const command = await call('GET', ask('demo/first', 'publish', 't/demo/first/cmd/a'))
  const rule = { effect: 'deny', action: 'publish', topic: 't/demo/first/cmd/#' }
  expect(command.body).toMatchObject({ allowed: false, rule })
  const other = await call('GET', ask('demo/first', 'subscribe', 't/demo/+/cmd/#'))
  expect(other.body).toMatchObject({ allowed: false, rule: null })
})

it('explains an application by its rules, the new ones once they are changed', async () => {
  const { call, registry } = await openApi()
  const rule = { effect: 'allow', action: 'subscribe', topic: 't/#' }
  await call('POST', '/v1/applications', { payload: { name: 'dash', rules: [rule] } })
  expect((await call('GET', ask('dash', 'subscribe', 't/a/#'))).body).toMatchObject({ allowed: true, rule })
  const changed = await call('PUT', '/v1/applications/dash/rules', { payload: { rules: [] } })
  expect(changed).toMatchObject({ status: 200, body: { name: 'dash', rules: [] } })
  expect((await call('GET', ask('dash', 'subscribe', 't/a/#'))).body).toMatchObject({ allowed: false, rules: [] })
  expect(registry.audited).toContain('admin application.rules dash')
})

it.each([
  ['GET', ask('demo/none', 'publish', 'a'), 404, 'not_found'],
  ['GET', ask('none', 'publish', 'a'), 404, 'not_found'],
  ['GET', ask('none', 'read', 'a'), 400, 'bad_request'],
  ['PUT', '/v1/applications/none/rules', 404, 'not_found'],
] as const)('%s %s answers %i', async (method, url, status, code) => {
  const { call } = await openApi()
  const payload = method === 'PUT' ? { payload: { rules: [] } } : {}
  expect(await call(method, url, payload)).toMatchObject({ status, body: { code } })
})
