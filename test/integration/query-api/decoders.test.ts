import { expect, it } from 'vitest'
import { DECODER_NAMES } from '../../../shared/decoders/decoder-names.ts'
import { openApi } from './api.ts'

it('lists the decoders, and tells what a payload becomes by one of them', async () => {
  const { call } = await openApi()
  const { body } = await call('GET', '/v1/decoders')
  expect((body['decoders'] as { name: string }[]).map(({ name }) => name)).toEqual(DECODER_NAMES)
  const test = (decoder: string, hex: string, more = {}) => {
    const payloadBase64 = Buffer.from(hex, 'hex').toString('base64')
    return call('POST', '/v1/decoders/test', { payload: { decoder, payloadBase64, ...more } })
  }
  expect(await test('cbor', 'a1616142ff00', { stream: 'room', settings: { bytes: 'hex' } })).toMatchObject({
    status: 200,
    body: { points: [{ device: 'nobody', stream: 'room', field: 'a', kind: 'text', value: 'ff00' }], faultCount: 0 },
  })
  expect(await test('json', 'ff')).toMatchObject({
    status: 200,
    body: { pointCount: 0, faults: [{ code: 'payload_not_as_declared' }] },
  })
  expect(await test('codec:none', 'ff')).toMatchObject({ status: 200, body: { faults: [{ code: 'decoder_unknown' }] } })
  expect(await test('none', 'ff')).toMatchObject({ status: 400, body: { code: 'policy_invalid' } })
  expect(await test('cbor', 'f6', { settings: { bytes: 'x' } })).toMatchObject({ status: 400 })
})
