import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { decodedBytes, MAX_UNPACKED_BYTES } from '../../../../shared/decoders/compression.ts'
import type { PayloadDecoder } from '../../../../shared/decoders/payload-decoder.ts'
import { faultOfRecord } from '../../../../shared/faults.ts'
import type { PolicyDocument } from '../../../../shared/policies/document.ts'
import { decodeAs } from './decoding.ts'

/** What becomes of a payload by a policy: fields with their values, and codes with their details. */
async function decode(...parts: Parameters<typeof decodeAs>) {
  const { fields, faults } = await decodeAs(...parts)
  return { fields, faults: faults.map(({ code, detail }) => `${code}: ${detail}`) }
}

const object = '{"a":1}'
const read = { fields: { a: 1 }, faults: [] }

describe('a declared decoder', () => {
  it.each([
    ['json', object, { a: 1 }],
    ['json', '21.5', { value: 21.5 }],
    ['plain', object, { value: object }],
    ['plain', '<a/>', { value: '<a/>' }],
    ['plain', '21.5', { value: 21.5 }],
    ['plain', '"21.5"', { value: '21.5' }],
    ['plain', 'a=1 b=2', { value: 'a=1 b=2' }],
    ['plain', `${'x'.repeat(257)}\0`, { value: 'x'.repeat(257) }],
    ['line_protocol', 'telemetry a=1i', { a: 1 }],
    ['senml', '[{"n":"a","v":1}]', { a: 1 }],
  ])('%s reads %s', async (decoder, payload, fields) => {
    expect(await decode({ decoder }, payload)).toEqual({ fields, faults: [] })
  })

  it.each([
    ['json', 'on', 'json expected: unexpected "o" at byte 0'],
    ['json', 'telemetry a=1', 'json expected: unexpected "t" at byte 0'],
    ['line_protocol', object, 'line_protocol expected: not all of it is lines'],
    ['line_protocol', 'telemetry a=1\nb', 'line_protocol expected: not all of it is lines'],
    ['plain', 'two\nlines', 'plain expected: not one line of text'],
    ['plain', Buffer.of(0xff), 'plain expected: the payload is not UTF-8'],
    ['senml', object, 'senml expected: no array of records'],
    ['senml', '[{"a":1', 'senml expected: the JSON is cut off at byte 7'],
    ['senml', '[{"n":"a","v":1,"b_":2}]', 'the label "b_" has to be understood'],
  ])('%s reads nothing else: %s', async (decoder, payload, detail) => {
    const { fields, faults } = await decode({ decoder }, payload)
    expect([fields, faults]).toEqual([{}, [expect.stringContaining(`payload_not_as_declared: ${detail}`)]])
  })

  it('that was not uploaded is a letter', async () => {
    expect((await decode({ decoder: 'codec:x' }, object)).faults).toEqual([
      'decoder_unknown: the decoder codec:x was not uploaded',
    ])
  })

  it('that was uploaded gives JSON, which is read as what a device sends is', async () => {
    const text = (text: string): PayloadDecoder => ({ read: () => Buffer.from(text) })
    const of = (decoder: PayloadDecoder) => decode({ decoder: 'codec:x' }, Buffer.alloc(6), { 'codec:x': decoder })
    expect(await of(text('[{"a":1,"a":2},{"b":{"c":nan,"d":9007199254740993}}]'))).toEqual({
      fields: { a: 1, 'b.d': 9_007_199_254_740_993n },
      faults: ['field_duplicate: another value for "a" comes before this one'],
    })
    expect((await of(text('{"a"'))).faults).toEqual([
      'payload_not_as_declared: codec:x expected: the JSON is cut off at byte 4',
    ])
    expect((await of({ read: () => faultOfRecord('payload_not_as_declared', 'two bytes or more') })).faults).toEqual([
      'payload_not_as_declared: codec:x expected: two bytes or more',
    ])
  })
})

describe('a compressed payload', () => {
  const compressions = [
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
    ['deflate', deflateSync],
  ] as const

  it.each(compressions)('by %s is read as what it holds is', async (_, compress) => {
    expect(await decode({}, compress(object))).toEqual(read)
    expect(await decode({}, Buffer.concat([compress(object), Buffer.of(0, 0)]))).toEqual(read)
    expect(await decode({ decoder: 'json' }, compress(object))).toEqual(read)
    expect(await decode({}, compress('telemetry a=1'))).toEqual(read)
    expect((await decode({ decoder: 'plain' }, compress('ON'))).fields).toEqual({ value: 'ON' })
  })

  it.each(compressions)(
    'by %s is a letter where it is damaged, holds something else, or too much',
    async (_, compress) => {
      const whole = compress(object)
      const codeOf = async (payload: Uint8Array, policy: PolicyDocument = {}) =>
        (await decode(policy, payload)).faults.map((text) => text.replace(/:.*/, ''))
      expect(await codeOf(whole.subarray(0, -3))).toEqual(['payload_compression_damaged'])
      expect(await codeOf(Buffer.concat([whole, Buffer.of(1)]))).toEqual(['payload_compression_damaged'])
      expect(await codeOf(whole, { compression: 'none' })).toEqual(['payload_not_utf8'])
      expect(await codeOf(compress('{'))).toEqual(['payload_not_json'])
      expect(await codeOf(compress(''))).toEqual(['payload_empty'])
      expect(await codeOf(compress('telemetry a=1'), { decoder: 'json' })).toEqual(['payload_not_as_declared'])
      // Only one is looked through.
      expect(await codeOf(compress(whole))).toEqual(['payload_not_utf8'])
      const most = Buffer.alloc(MAX_UNPACKED_BYTES, ' ').fill(object, 0, object.length)
      expect(await decode({}, compress(most))).toEqual(read)
      expect(await codeOf(compress(Buffer.concat([most, Buffer.of(0)])))).toEqual(['payload_unpacked_too_large'])
    },
  )

  it('of gzip in several members holds what they declare, or 16 KiB', async () => {
    const members = (bytes: number) => Buffer.concat([gzipSync(Buffer.alloc(bytes, ' ')), gzipSync(object)])
    expect(decodedBytes(members(0))).toBe(16 * 1024)
    expect(await decode({}, members(16 * 1024 - object.length))).toEqual(read)
    expect((await decode({}, members(16 * 1024))).faults).toEqual([
      'payload_compression_damaged: gzip: more than 16384 bytes, which is what it declares',
    ])
    const whole = gzipSync(object)
    whole.writeUInt32LE(8, whole.length - 4)
    expect((await decode({}, whole)).faults).toEqual(['payload_compression_damaged: gzip: incorrect length check'])
  })

  it('is told from a text that begins like one', async () => {
    const text = 'x^2 + y^2'
    expect((await decode({}, text)).fields).toEqual({ value: text })
    expect((await decode({ decoder: 'plain' }, text)).fields).toEqual({ value: text })
  })

  it('may not make a decoder hold more than 8 MiB beside it', async () => {
    // The header of a frame of zstd with a window of 128 MiB, and an empty block.
    const frame = Buffer.from('28b52ffd0488010000', 'hex')
    expect((await decode({}, frame)).faults).toEqual([expect.stringContaining('payload_compression_damaged: zstd')])
  })
})
