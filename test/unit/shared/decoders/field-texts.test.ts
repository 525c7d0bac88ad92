import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { textReaders } from '../../../../shared/decoders/field-texts.ts'
import { DEFAULT_POLICY } from '../../../../shared/policies/settings.ts'

const readers = textReaders({ ...DEFAULT_POLICY, base64_fields: ['b'], hex_fields: ['h'], bytes: 'hex' })
const base64 = (text: string) => readers?.get('b')?.(text)
const hex = (text: string) => readers?.get('h')?.(text)

describe('a text that writes bytes', () => {
  it.each([
    ['MjEuNQ==', 21.5],
    ['MjEuNQ', 21.5],
    ['LTFlMw==', -1000],
    ['dHJ1ZQ==', true],
    ['T04=', 'ON'],
    ['AQL_', '0102ff'],
    ['AQL/', '0102ff'],
    ['', ''],
    ['MDEy', '012'],
    ['no base64!', undefined],
    ['MTIzNDU2Nzg5MDEyMzQ1Njc4OQ==', 1234567890123456789n],
  ])('%s is %s', (text, value) => {
    expect(base64(text)).toEqual(value)
  })

  it('holds every text and number, in either alphabet of base64 and in hex', () => {
    const check = (value: string | number) => {
      const bytes = Buffer.from(String(value))
      const [found, ...others] = [base64(bytes.toString('base64')), base64(bytes.toString('base64url'))]
      expect([...others, hex(bytes.toString('hex'))]).toEqual([found, found])
      if (typeof value === 'number') expect(Number(found)).toBe(value)
      else if (/^[ -~]*[G-Zg-z][ -~]*$/.test(value) && !['true', 'false'].includes(value)) expect(found).toBe(value)
    }
    const number = fc.double({ noNaN: true, noDefaultInfinity: true }).filter((one) => !Object.is(one, -0))
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), number), check))
  })

  it('is kept in the form of the policy where its bytes are no text', () => {
    const check = (bytes: Uint8Array) => {
      const all = Buffer.from([0xff, ...bytes])
      expect(base64(all.toString('base64'))).toBe(all.toString('hex'))
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), check))
  })

  it('is any other text where it is not written so', () => {
    const check = (text: string) => hex(`${text}!`) === undefined
    fc.assert(fc.property(fc.string(), check))
  })
})
