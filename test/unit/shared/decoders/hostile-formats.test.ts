import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { encode as encodeMessagePack } from '@msgpack/msgpack'
import { encode as encodeCbor } from 'cborg'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DECODER_NAMES, type DecoderName } from '../../../../shared/decoders/decoder-names.ts'
import { isErrorCode } from '../../../../shared/errors.ts'
import { reservedElements } from '../../../../shared/stamps/reservation.ts'
import { anyValue, decodeAs } from './decoding.ts'

/** Heads of items in which lengths and kinds are most often wrong. */
const heads = fc.constantFrom(
  ...'9f bf 5f 7f ff a1 81 c1 c2 c4 c5 d8 1b 3b fb f9 df dd c7 d7 82 8f 92 a0 e0 00'.split(' '),
)
const words = fc.array(heads, { maxLength: 24 }).map((digits) => Buffer.from(digits.join(''), 'hex'))
const random = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes))

/** One byte of it is another one, or the end is missing. */
function damaged(payload: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc.tuple(payload, fc.nat(), fc.nat(255), fc.boolean()).map(([whole, where, byte, isCut]) => {
    const at = where % Math.max(1, whole.length)
    if (isCut) return whole.subarray(0, at)
    const bytes = Buffer.from(whole)
    bytes[at] = byte
    return bytes
  })
}

const valid: Partial<Record<DecoderName, (value: unknown) => Uint8Array>> = {
  cbor: encodeCbor,
  senml: encodeCbor,
  messagepack: (value) => encodeMessagePack(value, { useBigInt64: true }),
}
const asJson = (value: unknown) =>
  Buffer.from(JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? Number(one) : one)))
const compress = fc.constantFrom((bytes: Uint8Array) => bytes, gzipSync, zstdCompressSync, deflateSync)

describe.each(DECODER_NAMES)('whatever the bytes are that %s gets', (decoder) => {
  it('they end as points, nulls, or faults with a code', async () => {
    const whole = anyValue.map(valid[decoder] ?? asJson)
    const payload = fc.oneof(
      random,
      words,
      whole,
      damaged(whole),
      fc.tuple(compress, whole).map(([by, bytes]) => by(bytes)),
      damaged(fc.tuple(compress, whole).map(([by, bytes]) => by(bytes))),
    )
    await fc.assert(
      fc.asyncProperty(payload, async (bytes) => {
        const { faults } = await decodeAs({ decoder }, bytes)
        for (const { code } of faults) expect(isErrorCode(code) && code !== 'decoder_failed').toBe(true)
      }),
    )
  })
})

/** The shortest readings of each format, and how many of them stand in one payload. */
const shortest: readonly (readonly [DecoderName, string, (count: number) => Uint8Array])[] = [
  ['cbor', 'a map of the empty name', (count) => Buffer.concat([list(0x9f, count, 'a16001'), Buffer.of(0xff)])],
  ['cbor', 'a map of an integer', (count) => Buffer.concat([list(0x9f, count, 'a10101'), Buffer.of(0xff)])],
  ['senml', 'a value of the base name', (count) => Buffer.concat([list(0x9f, count, 'a10201'), Buffer.of(0xff)])],
  [
    'messagepack',
    'a map of the empty name',
    (count) => Buffer.concat([Buffer.of(0xdc, count >> 8, count & 0xff), list(undefined, count, '81a001')]),
  ],
  [
    'json',
    'an object of the empty name',
    (count) => Buffer.from(`[${Array.from({ length: count }, () => '{"":1}').join(',')}]`),
  ],
  ['csv', 'a line of two cells', (count) => Buffer.from(`a,b\n${',1\n'.repeat(count)}`)],
  ['line_protocol', 'a line', (count) => Buffer.from('m a=1\n'.repeat(count))],
]

function list(head: number | undefined, count: number, element: string): Buffer {
  return Buffer.concat([Buffer.from(head === undefined ? [] : [head]), Buffer.from(element.repeat(count), 'hex')])
}

describe('the stamp of a message has room', () => {
  it.each(shortest)('for the shortest readings of %s without a time: %s', async (decoder, _, make) => {
    for (const count of [2, 3, 100, 9_999]) {
      const payload = make(count)
      expect(reservedElements(payload)).toBeGreaterThanOrEqual(count)
      const { faults, times } = await decodeAs({ decoder }, payload)
      expect([faults, times.length]).toEqual([[], count])
    }
  })
})

describe('payloads made to hurt', () => {
  const hex = (digits: string) => Buffer.from(digits, 'hex')
  const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 1]))
  const hostile: readonly (readonly [string, DecoderName, () => Uint8Array, string])[] = [
    [
      'a million empty names',
      'cbor',
      () => gzipSync(Buffer.concat([hex('bf'), hex('60f6'.repeat(1_000_000)), hex('ff')])),
      'field_duplicate',
    ],
    ['200,000 names', 'cbor', () => encodeCbor(keys(200_000)), 'reading_too_wide'],
    ['200,000 names', 'messagepack', () => encodeMessagePack(keys(200_000)), 'reading_too_wide'],
    ['200,000 names', 'json', () => gzipSync(JSON.stringify(keys(200_000))), 'reading_too_wide'],
    ['a million lists without an end', 'cbor', () => Buffer.alloc(1_000_000, 0x9f), 'payload_not_as_declared'],
    ['a million maps as names of maps', 'cbor', () => Buffer.alloc(1_000_000, 0xa1), 'payload_not_as_declared'],
    ['a million maps as names of maps', 'messagepack', () => Buffer.alloc(1_000_000, 0x81), 'payload_not_as_declared'],
    ['a list of 2^64 values', 'cbor', () => hex('9bffffffffffffffff00'), 'payload_not_as_declared'],
    ['a text of 2^64 bytes', 'cbor', () => hex('7bffffffffffffffff00'), 'payload_not_as_declared'],
    ['a list of 2^32 values', 'messagepack', () => hex('ddffffffff00'), 'payload_not_as_declared'],
    [
      'a number of a million bytes',
      'cbor',
      () => Buffer.concat([hex('c25a000f4240'), Buffer.alloc(1_000_000, 0xff)]),
      'value_out_of_range',
    ],
    ['an exponent of 2^64', 'cbor', () => hex('c4821bffffffffffffffff01'), 'value_out_of_range'],
    [
      'a text in a million chunks',
      'cbor',
      () => Buffer.concat([hex('7f'), Buffer.alloc(1_000_000, 0x60), hex('ff')]),
      '',
    ],
    ['shared values that refer to each other', 'cbor', () => hex('d81c82d81d00d81d00'), 'payload_not_as_declared'],
    [
      'four million nulls in a bomb',
      'cbor',
      () => gzipSync(Buffer.concat([hex('9f'), Buffer.alloc(4_000_000, 0xf6), hex('ff')])),
      'payload_not_as_declared',
    ],
    [
      'two million numbers in a bomb',
      'messagepack',
      () => zstdCompressSync(Buffer.concat([hex('dd001e8480'), Buffer.alloc(2_000_000)])),
      'payload_too_many_readings',
    ],
    [
      'a hundred million bytes in a bomb',
      'json',
      () => zstdCompressSync(Buffer.alloc(100_000_000, '[')),
      'payload_unpacked_too_large',
    ],
  ]

  it.each(hostile)('%s, as %s: ends within seconds', async (_, decoder, make, code) => {
    const payload = make()
    const started = performance.now()
    const { faults } = await decodeAs({ decoder }, payload)
    expect(faults.at(-1)?.code ?? '').toBe(code)
    // Far from what it takes, and far below what a quadratic step would take.
    expect(performance.now() - started).toBeLessThan(60_000)
  })
})
