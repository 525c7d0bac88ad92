import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { newKeys, publicText } from '../../../shared/backup/envelope.ts'
import { openApi, caller } from './api.ts'
import { openReal } from './real-api.ts'

const key = publicText(newKeys().publicKey)

it('a backup is for named recipients, or plain, and noted', async () => {
  const { log, points, registry, cache, token } = await openReal(undefined, { isIdle: true })
  const asked: number[] = []
  const backup = async (recipients: readonly unknown[]) => {
    asked.push(recipients.length)
    return Readable.from([Buffer.from('bytes')])
  }
  const { app } = await openApi({ log, points, registry, cache, backup })
  const post = (payload: object) => caller(app, token)('POST', '/v1/backup', { payload })
  for (const wrong of [
    {},
    { plain: true, recipients: [key] },
    { recipients: ['short'] },
    { recipients: [key, 'A'.repeat(60)] },
  ]) {
    expect(await post(wrong)).toMatchObject({ status: 400, body: { code: 'bad_request' } })
  }
  expect(asked).toEqual([])
  const headers = { authorization: `Bearer ${token}` }
  const got = await app.inject({ method: 'POST', url: '/v1/backup', headers, payload: { recipients: [key] } })
  expect([got.statusCode, got.headers['content-type'], got.body]).toEqual([200, 'application/octet-stream', 'bytes'])
  expect(asked).toEqual([1])
  const [noted] = await registry.listAudit({ limit: 1 })
  expect(noted).toMatchObject({ who: 'admin', action: 'backup', detail: `for ${key}` })
})

it('says in a cluster that its servers are backed up by their own means', async () => {
  const { call } = await openReal(undefined, { isIdle: true })
  expect(await call('POST', '/v1/backup', { payload: { plain: true } })).toMatchObject({
    status: 501,
    body: { code: 'unsupported' },
  })
})
