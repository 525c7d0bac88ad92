import { encode } from 'cborg'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readCbor } from '../../../../shared/decoders/cbor.ts'
import { anyValue, decodeAs, exactJson } from './decoding.ts'
import { MALFORMED, VECTORS } from './rfc-8949-vectors.ts'

const hex = (digits: string) => Buffer.from(digits, 'hex')

/** The JSON, or the code and what is said. */
function read(payload: Uint8Array): string {
  const text = readCbor(payload, 'hex')
  return text instanceof Uint8Array ? Buffer.from(text).toString() : `${text.code}: ${text.detail}`
}

describe('CBOR', () => {
  it.each(VECTORS)('%s is %s', (bytes, json) => {
    expect(read(hex(bytes))).toBe(json)
  })

  it.each(MALFORMED)('%s is none', (bytes) => {
    expect(read(hex(bytes))).toMatch(/^payload_not_as_declared: .* at byte \d+$/)
  })

  it.each([
    // Decimal fractions and big floats, each by its digits as far as there are any [3.4.4].
    ['c48221196ab3', '27315e-2'],
    ['c482381bc24901ffffffffffffffff', '36893488147419103231e-28'],
    ['c5822003', '1.5'],
    ['c5821b7fffffffffffffff00', '0'],
    ['c5821b7fffffffffffffff01', 'nan'],
    ['c58239043103', '1.5e-323'],
    // Beyond the range of a double, which its field is refused for.
    [`c2588a${'ff'.repeat(138)}`, '1e999'],
    [`c358820000${'ff'.repeat(128)}`, String(-(2n ** 1024n))],
    // The forms of byte strings, by the tag and without one [3.4.5.2].
    ['d54401fffefd', '"Af_-_Q"'],
    ['d64401fffefd', '"Af/+/Q=="'],
    ['d58161ff', '["\\ud800"]'],
    // Itself, a known tag, one that nobody knows.
    ['d9d9f7a1616101', '{"a":1}'],
    ['d8641901f4', '500'],
    // Names of any kind.
    [
      'a701012002f503f9 3e0004 416105 8101060707'.replaceAll(' ', ''),
      '{"1":1,"-1":2,"true":3,"1.5":4,"61":5,"[1]":6,"7":7}',
    ],
    ['a26161016161 02'.replaceAll(' ', ''), '{"a":1,"a":2}'],
    // Not a second before 1970, and no time at all.
    ['c120', '-1'],
    ['c16161', '"a"'],
    ['c1f97e00', 'nan'],
    ['01000000', '1'],
  ])('%s is %s, too', (bytes, json) => {
    expect(read(hex(bytes))).toBe(json)
  })

  it.each([
    ['0102', '1 bytes behind the value at byte 1'],
    ['', '1 bytes, where the payload has 0, at byte 0'],
    ['82d81c01d81d00', 'tag 29, which refers to another value, at byte 6'],
    ['c48301', 'a fraction that is not a list of two at byte 1'],
    ['c482006161', 'a part of a fraction that is no integer at byte 3'],
    ['c201', 'a big number that is no byte string at byte 1'],
    ['81'.repeat(257) + '00', 'deeper than 256 values at byte 257'],
    ['a1'.repeat(300), 'deeper than 256 values at byte 129'],
    ['c6'.repeat(300), 'deeper than 256 values at byte 257'],
  ])('%s is refused: %s', (bytes, detail) => {
    expect(read(hex(bytes))).toBe(`payload_not_as_declared: ${detail}`)
  })

  it('a text that is not UTF-8 refuses its field alone', async () => {
    const { fields, faults } = await decodeAs(
      { decoder: 'cbor' },
      hex('a3616161ff616201 7f61c361bcff02'.replace(' ', '')),
    )
    expect(fields).toEqual({ b: 1 })
    expect(faults.map(({ code }) => code)).toEqual(['value_unsupported', 'field_name_invalid'])
  })

  it('is what another implementation writes, whatever the values', () => {
    fc.assert(
      fc.property(anyValue, (one) => {
        expect(exactJson(read(encode(one)))).toEqual(one)
      }),
    )
  })
})
