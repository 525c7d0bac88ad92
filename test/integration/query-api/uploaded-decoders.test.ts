import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { MAX_DECODER_CHARACTERS } from '../../../shared/registry/decoders-port.ts'
import { openApi } from './api.ts'
import { openReal } from './real-api.ts'

const url = '/v1/uploaded-decoders/door?tenant=demo'
const CONTENT = 'function decode({ bytes, stream }) { return { open: bytes[0], [stream]: 1 } }'
const sha256 = createHash('sha256').update(CONTENT).digest('hex')
const codec = (content = CONTENT, options = {}) => ({ payload: { kind: 'codec', content, options } })
const base64 = (bytes: readonly number[] | string) => Buffer.from(bytes as string).toString('base64')

async function open() {
  const real = await openReal(undefined, { isIdle: true })
  const { call } = real
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'a' } })
  let revision = 0
  const setPolicy = async (document: object) => {
    const put = await call('PUT', '/v1/policies?tenant=demo', { payload: { revision, document } })
    expect(put.status).toBe(200)
    revision = Number((await call('GET', '/v1/policies?tenant=demo')).body['revision'])
  }
  const publish = (payloadBase64: string) =>
    call('POST', '/v1/topics/test', { payload: { topic: 't/demo/a/telemetry', payloadBase64 } })
  return { ...real, setPolicy, publish }
}

describe('uploaded decoders over HTTP', () => {
  it('are put, shown and removed by administrators', async () => {
    const { call, registry } = await openApi()
    const about = { tenant: 'demo', name: 'door', kind: 'codec', revision: 1, sha256, options: { port: 2 } }
    const put = await call('PUT', url, codec(CONTENT, { port: 2 }))
    expect(put).toMatchObject({ status: 200, body: { ...about, who: 'admin', characters: CONTENT.length } })
    expect(await call('GET', url)).toMatchObject({ status: 200, body: { ...about, content: CONTENT } })
    expect((await call('GET', '/v1/uploaded-decoders?tenant=demo')).body['decoders']).toMatchObject([about])
    expect((await call('GET', '/v1/uploaded-decoders?all=true')).body['decoders']).toMatchObject([about])
    expect((await call('DELETE', url)).status).toBe(204)
    expect(registry.audited).toEqual(['admin decoders.put demo: door', 'admin decoders.remove demo: door'])
  })

  it('are nobody else’s: not those of devices and applications, whatever they may publish', async () => {
    const { call } = await open()
    const rules = ['publish', 'subscribe'].map((action) => ({ effect: 'allow', action, topic: '#' }))
    const application = await call('POST', '/v1/applications', { payload: { name: 'all', rules } })
    const device = await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'b' } })
    for (const { body } of [application, device]) {
      const token = String(body['token'])
      for (const method of ['PUT', 'GET', 'DELETE'] as const) {
        const answer = await call(method, url, { token, ...(method === 'PUT' ? codec() : {}) })
        expect(answer, method).toMatchObject({ status: 401, body: { code: 'token_invalid' } })
      }
    }
    expect(await call('PUT', url, { token: null, ...codec() })).toMatchObject({ body: { code: 'token_missing' } })
    expect((await call('GET', '/v1/uploaded-decoders?all=true')).body).toEqual({ decoders: [] })
  })

  it('that are none are refused with line and reason, while the one before goes on', async () => {
    const { call, setPolicy, publish } = await open()
    await call('PUT', url, codec())
    await setPolicy({ decoder: 'codec:door' })
    for (const [content, wrong] of [
      ['var x = 1\nfunction decode( {', 'line 2: SyntaxError'],
      ['var x = 1', 'it defines none of the functions'],
    ] as const) {
      const { status, body } = await call('PUT', url, codec(content))
      expect([status, body]).toMatchObject([400, { code: 'decoder_invalid' }])
      expect(body['detail']).toContain(wrong)
    }
    expect((await call('PUT', url, codec(CONTENT, { port: 256 }))).body).toMatchObject({ code: 'decoder_invalid' })
    const other = { kind: 'protobuf', content: '', options: { message: 'x' } }
    expect((await call('PUT', url, { payload: other })).body).toMatchObject({ code: 'decoder_invalid' })
    expect((await call('GET', url)).body).toMatchObject({ revision: 1, sha256 })
    expect((await publish(base64([7]))).body).toMatchObject({
      faultCount: 0,
      points: [{ field: 'open', value: 7 }, {}],
    })
  })

  it('that are too large, or of no name, are refused', async () => {
    const { call } = await open()
    const padded = CONTENT + ' '.repeat(MAX_DECODER_CHARACTERS - CONTENT.length)
    expect((await call('PUT', url, codec(`${padded} `))).body).toMatchObject({ code: 'bad_request', status: 400 })
    expect((await call('GET', url)).body).toMatchObject({ code: 'not_found' })
    expect((await call('PUT', url, codec(padded))).status).toBe(200)
    for (const wrong of ['/v1/uploaded-decoders/a%2Fb', '/v1/uploaded-decoders/door?tenant=a%2Fb']) {
      expect((await call('PUT', wrong, codec())).body, wrong).toMatchObject({ code: 'name_invalid' })
    }
  })

  it('are in the audit log with the SHA-256 of the content, and are not removed while a policy names them', async () => {
    const { call, setPolicy } = await open()
    await call('PUT', url, codec())
    const audit = JSON.stringify((await call('GET', '/v1/audit')).body)
    expect(audit).toContain(`codec revision 1, sha256 ${sha256}`)
    await setPolicy({ streams: { x: { decoder: 'codec:door' } } })
    expect(await call('DELETE', url)).toMatchObject({ status: 409, body: { code: 'decoder_in_use' } })
    await setPolicy({})
    expect((await call('DELETE', url)).status).toBe(204)
    expect((await call('DELETE', url)).body).toMatchObject({ code: 'not_found' })
  })

  it('are tested without a policy: the tenant’s own, else everybody’s, else it is told that there is none', async () => {
    const { call } = await open()
    const test = async (decoder: string, more = {}) => {
      const payload = { decoder, payloadBase64: base64([7]), ...more }
      return (await call('POST', '/v1/decoders/test', { payload })).body
    }
    const unknown = { faults: [{ code: 'decoder_unknown' }], pointCount: 0 }
    await call('PUT', url, codec())
    expect(await test('codec:door', { tenant: 'demo', stream: 'room' })).toMatchObject({
      points: [{ field: 'open', value: 7 }, { field: 'room' }],
    })
    expect(await test('codec:door')).toMatchObject(unknown)
    expect(await test('protobuf:door', { tenant: 'demo' })).toMatchObject(unknown)
    await call('PUT', '/v1/uploaded-decoders/door', codec('function Decoder(bytes) { throw "all" }'))
    expect(await test('codec:door', { tenant: 'other' })).toMatchObject({ faults: [{ code: 'codec_failed' }] })
    const streams = { streams: { room: { decoder: 'codec:door' } } }
    expect(await test('cbor', { tenant: 'demo', stream: 'room', settings: streams })).toMatchObject({ pointCount: 2 })
    expect(await test('codec:door', { tenant: 'a/b' })).toMatchObject({ code: 'name_invalid' })
  })

  it('get what base64 and hex stand for', async () => {
    const { call, setPolicy, publish } = await open()
    await call('PUT', url, codec())
    for (const [encoding, text] of [
      ['base64', 'Bw=='],
      ['hex', '07'],
    ] as const) {
      await setPolicy({ decoder: 'codec:door', encoding })
      expect((await publish(base64(text))).body, encoding).toMatchObject({ points: [{ field: 'open', value: 7 }, {}] })
      expect((await publish(base64('!'))).body).toMatchObject({ faults: [{ code: 'payload_not_as_declared' }] })
    }
  })
})
