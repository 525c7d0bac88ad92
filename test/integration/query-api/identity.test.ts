import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { deadLetterToRecord, type DeadLetter } from '../../../shared/dead-letter.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { newApiKey } from '../../../shared/registry/credentials.ts'
import { queryApiSettings } from '../../../config/query-api.ts'
import type { ApiOptions } from '../../../services/query-api/api.ts'
import { loadConfig } from '../../../shared/config.ts'
import { openSqliteRegistry } from '../../../shared/registry/sqlite/open.ts'
import { tempFolder } from '../../helpers.ts'
import { caller, openApi } from './api.ts'

/** The API on the real registry. */
async function openWithRegistry(overrides: Partial<ApiOptions> = {}) {
  const file = join(tempFolder(), 'registry.db')
  const metrics = createMetrics({ defaults: false })
  const logger = createLogger('silent')
  const registry = await openSqliteRegistry({ file, credentialKey: Buffer.alloc(32, 1), logger, metrics })
  onTestFinished(() => registry.close())
  const key = newApiKey()
  await registry.setAdminKey(key)
  const { app, log, logged } = await openApi({ registry, ...overrides })
  const call = caller(app, key)
  const post = (url: string, payload: object = {}) => call('POST', url, { payload })
  return { call, post, registry, log, logged }
}

it('rotates: both work until the new one is used, and the device shows them without a secret', async () => {
  const { call, post, registry } = await openWithRegistry()
  const { body: old } = await post('/v1/devices', { tenant: 'acme', device: 'p1' })
  const rotated = await post('/v1/devices/acme/p1/rotate', { overlapSeconds: 3600 })
  expect(rotated).toMatchObject({ status: 201, body: { username: 'acme/p1' } })
  expect(Date.parse(String(rotated.body['oldEndsAt'])) - Date.now()).toBeGreaterThan(3_500_000)
  const shown = await call('GET', '/v1/devices/acme/p1')
  expect(shown.body['credentials']).toMatchObject([{ expiresAt: rotated.body['oldEndsAt'] }, { expiresAt: null }])
  for (const secret of [old['secret'], rotated.body['secret'], rotated.body['token']]) {
    expect(shown.text).not.toContain(secret)
  }
  expect(await registry.verifySecret('acme/p1', String(rotated.body['secret']))).toBeDefined()
  expect(await registry.verifySecret('acme/p1', String(old['secret']))).toBeUndefined()
  expect((await post('/v1/devices/acme/p2/rotate')).status).toBe(404)
  expect((await post('/v1/devices/acme/p1/rotate', { overlapSeconds: -1 })).status).toBe(400)
})

it('disables, enables and revokes devices and applications, and notes who did', async () => {
  const { call, post, registry } = await openWithRegistry()
  const { body: device } = await post('/v1/devices', { tenant: 'acme', device: 'p1' })
  await post('/v1/applications', { name: 'dash', rules: [] })
  expect((await post('/v1/devices/acme/p1/disable')).body).toEqual({ disabled: true })
  expect((await call('GET', '/v1/devices/acme/p1')).body).toMatchObject({ disabled: true })
  expect(await registry.verifyToken(String(device['token']))).toBeUndefined()
  expect((await post('/v1/devices/acme/p1/enable')).body).toEqual({ disabled: false })
  expect(await registry.verifyToken(String(device['token']))).toBeDefined()
  for (const action of ['rotate', 'revoke', 'enable']) await post(`/v1/applications/dash/${action}`)
  expect((await post('/v1/applications/nobody/revoke')).status).toBe(404)
  const { body } = await call('GET', '/v1/audit?limit=5')
  const noted = (body['entries'] as { who: string; action: string; subject: string }[]).map(
    ({ who, action, subject }) => `${who} ${action} ${subject}`,
  )
  expect(noted).toEqual([
    'admin application.enable dash',
    'admin application.revoke dash',
    'admin application.rotate dash',
    'admin device.enable acme/p1',
    'admin device.disable acme/p1',
  ])
  const rest = await call('GET', `/v1/audit?before=${String(body['next'])}`)
  expect(rest.body).toMatchObject({ entries: [{ action: 'application.create' }, { action: 'device.create' }] })
})

it('claims: a device trades a key for its credentials, without a bearer token', async () => {
  const { call, post, registry } = await openWithRegistry()
  const made = await post('/v1/claim-keys', { tenant: 'acme', maxUses: 1, expiresSeconds: 60, tags: { batch: '7' } })
  expect(made).toMatchObject({ status: 201, body: { tenant: 'acme', uses: 0, maxUses: 1 } })
  const key = String(made.body['key'])
  const claim = (device: string, with_ = key) =>
    call('POST', '/v1/claims', { payload: { key: with_, device }, token: null })
  const claimed = await claim('pump-1')
  expect(claimed).toMatchObject({ status: 201, body: { tenant: 'acme', device: 'pump-1', username: 'acme/pump-1' } })
  expect(await registry.verifyToken(String(claimed.body['token']))).toBeDefined()
  expect((await claim('pump-1')).status).toBe(409)
  expect(await claim('pump-2')).toMatchObject({ status: 401, body: { code: 'claim_refused' } })
  const listed = await call('GET', '/v1/claim-keys')
  expect(listed.body).toMatchObject({ claimKeys: [{ uses: 1 }] })
  expect(listed.text).not.toContain(key)
  expect((await call('DELETE', `/v1/claim-keys/${String(made.body['id'])}`)).status).toBe(204)
  expect((await call('DELETE', `/v1/claim-keys/${String(made.body['id'])}`)).status).toBe(404)
  expect((await call('GET', '/v1/claim-keys', { token: null })).status).toBe(401)
  const [claimEntry] = (await registry.listAudit({ limit: 2 })).filter(({ action }) => action === 'device.claim')
  expect(claimEntry).toMatchObject({ who: `claim-key ${String(made.body['id'])}`, subject: 'acme/pump-1' })
})

it('claims that fail are limited by address', async () => {
  const { call } = await openWithRegistry()
  const claim = (remoteAddress: string) =>
    call('POST', '/v1/claims', { payload: { key: 'slc_guess', device: 'p' }, token: null, remoteAddress })
  // One is forgiven each second.
  const answers = await Promise.all(Array.from({ length: 40 }, () => claim('192.0.2.1')))
  expect(answers[0]?.status).toBe(401)
  expect(await claim('192.0.2.1')).toMatchObject({ status: 429, body: { code: 'login_rate_limited' } })
  expect((await claim('192.0.2.2')).status).toBe(401)
})

it('claims that fail are limited by the address behind listed proxies, and by no address that a client makes up', async () => {
  const settings = loadConfig(queryApiSettings, { HTTP_PROXY_FROM: '127.0.0.1,10.0.0.0/8' })
  const { call, logged } = await openWithRegistry({ settings })
  const claim = (forwardedFor: string, remoteAddress = '127.0.0.1') => {
    const headers = { 'x-forwarded-for': forwardedFor }
    return call('POST', '/v1/claims', {
      payload: { key: 'slc_guess', device: 'p' },
      token: null,
      remoteAddress,
      headers,
    })
  }
  const made = Array.from({ length: 40 }, (_, n) => claim(`198.51.100.${n}, 203.0.113.7, 10.1.2.3`))
  expect((await Promise.all(made))[0]?.status).toBe(401)
  expect(await claim('203.0.113.7')).toMatchObject({ status: 429, body: { code: 'login_rate_limited' } })
  expect((await claim('203.0.113.8')).status).toBe(401)
  // One who comes past the proxies is who he is.
  expect((await claim('203.0.113.7', '192.0.2.9')).status).toBe(401)
  const lines = logged.map((line) => JSON.parse(line) as { msg: string; from?: string })
  expect(lines.findLast(({ msg }) => msg === 'request')).toMatchObject({ from: '192.0.2.9' })
  expect(lines.filter(({ msg, from }) => msg === 'request' && from === '203.0.113.7')).toHaveLength(41)
})

it('makes those of many that do not exist, says which do, and removes many', async () => {
  const { call, post } = await openWithRegistry()
  const device = (name: string) => ({ tenant: 'acme', device: name })
  await post('/v1/devices', device('p1'))
  const devices = ['p1', 'p2', 'p3'].map(device)
  expect(await post('/v1/devices/bulk', { devices })).toMatchObject({ status: 409 })
  const dry = await post('/v1/devices/bulk', { devices, dryRun: true })
  expect(dry.body).toEqual({ devices: [], skipped: [device('p1')] })
  const made = await post('/v1/devices/bulk', { devices, existing: 'skip' })
  expect(made.body).toMatchObject({ devices: [device('p2'), device('p3')], skipped: [device('p1')] })
  const removed = await post('/v1/devices/bulk-remove', { devices: ['p0', 'p1', 'p2'].map(device) })
  expect(removed.body).toEqual({ removed: [device('p1'), device('p2')] })
  expect((await call('GET', '/v1/devices')).body).toMatchObject({ devices: [device('p3')] })
})

it('pending: unknown devices that were refused, until they are made', async () => {
  const { call, post, log } = await openWithRegistry()
  await post('/v1/devices', { tenant: 'acme', device: 'known' })
  const letter = (who: string, more: Partial<DeadLetter> = {}): DeadLetter => ({
    ...{ stage: 'connect', code: 'login_failed', detail: 'd', who, key: who, topic: undefined, attempts: 1 },
    ...{ payload: new Uint8Array(), ms: 1, ns: 0, firstFailedMs: 1_767_225_600_000, source: undefined },
    ...more,
  })
  const letters = [
    ...['acme/new', 'acme/new', 'acme/known', 'slt_ab...', 'acme/', '192.0.2.1'].map((who) => letter(who)),
    letter('acme/limited', { code: 'login_rate_limited' }),
    letter('gateway', { stage: 'publish', code: 'not_authorised', topic: 't/site/pump-9/telemetry' }),
    letter('gateway', { stage: 'publish', code: 'not_authorised', topic: 'home/pump/telemetry' }),
    letter('acme/known', { stage: 'decode', code: 'payload_empty', topic: 't/acme/ghost/telemetry' }),
  ]
  await log.append('telemetry.dead-letter', letters.map(deadLetterToRecord))
  const { body } = await call('GET', '/v1/devices/pending')
  expect(body['pending']).toMatchObject([
    { tenant: 'site', device: 'pump-9', by: 'topic', who: 'gateway', times: 1 },
    { tenant: 'acme', device: 'new', by: 'login', who: 'acme/new', times: 2, lastAt: '2026-01-01T00:00:00Z' },
  ])
  await post('/v1/devices', { tenant: 'acme', device: 'new' })
  expect((await call('GET', '/v1/devices/pending')).body).toMatchObject({ pending: [{ device: 'pump-9' }] })
})
