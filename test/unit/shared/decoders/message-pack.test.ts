import { createRequire } from 'node:module'
import { encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { messagePack } from '../../../../shared/decoders/message-pack.ts'
import { DEFAULT_POLICY } from '../../../../shared/policies/settings.ts'
import { anyValue, decodeAs, exactJson } from './decoding.ts'

/** The JSON, or the code and what is said. */
function read(payload: Uint8Array): string {
  const record = { key: 'demo/one', value: payload, ms: 0, ns: 0, headers: undefined }
  const text = messagePack.read(payload, { record, stream: 'telemetry', policy: { ...DEFAULT_POLICY, bytes: 'hex' } })
  return text instanceof Uint8Array ? Buffer.from(text).toString() : `${text.code}: ${text.detail}`
}

const hex = (digits: string) => Buffer.from(digits.replaceAll(/[- ]/g, ''), 'hex')

/** A case of the suite: what it is under the name of its kind, and all ways to write it. */
type Case = Readonly<Record<string, unknown>> & { readonly msgpack: readonly string[] }
const require = createRequire(import.meta.url)
const suite = require('msgpack-test-suite/dist/msgpack-test-suite.json') as Readonly<Record<string, readonly Case[]>>

/** As exact JSON, what the suite says a case is. */
function expected(one: Case): unknown {
  const [[kind, value] = ['', undefined]] = Object.entries(one).filter(([name]) => name !== 'msgpack')
  if (kind === 'bignum') return BigInt(String(value))
  if (kind === 'binary') return String(value).replaceAll('-', '')
  if (kind === 'ext') return String((value as readonly unknown[])[1]).replaceAll('-', '')
  if (kind !== 'timestamp') return value
  const [seconds = 0, nanoseconds = 0] = value as readonly number[]
  if (seconds < 0 || seconds > 253_402_300_799) return seconds
  const fraction =
    nanoseconds === 0
      ? ''
      : `.${String(nanoseconds)
          .padStart(9, '0')
          .replace(/(000){1,2}$/, '')}`
  return new Date(seconds * 1000).toISOString().replace('.000', fraction)
}

describe('MessagePack', () => {
  const cases = Object.values(suite).flat()
  it.each(cases.flatMap((one) => one.msgpack.map((bytes) => [bytes, one] as const)))('%s', (bytes, one) => {
    expect(exactJson(read(hex(bytes)))).toEqual(expected(one))
  })

  it('the suite is all there', () => expect(cases.length).toBeGreaterThan(80))

  it.each([
    ['83 01 01 c3 02 9101 03', '{"1":1,"true":2,"[1]":3}'],
    ['82 a161 01 a161 02', '{"a":1,"a":2}'],
    ['81 c402ff00 01', '{"ff00":1}'],
    ['ca 7fc00000', 'nan'],
    ['a1 ff', '"\\ud800"'],
    ['01 00 00', '1'],
  ])('%s is %s', (bytes, json) => {
    expect(read(hex(bytes))).toBe(json)
  })

  it.each([
    ['', '1 bytes, where the payload has 0, at byte 0'],
    ['c1', '0xc1, which stands for nothing, at byte 0'],
    ['01 02', '1 bytes behind the value at byte 1'],
    ['a5 6161', '5 bytes, where the payload has 2, at byte 1'],
    ['df ffffffff', '1 bytes, where the payload has 0, at byte 5'],
    ['c6 ffffffff', '4294967295 bytes, where the payload has 0, at byte 5'],
    ['c7 05 ff 0000000000', 'a time that is none at byte 3'],
    ['d7 ff ffffffff 00000000', 'a time that is none at byte 2'],
    ['91'.repeat(300), 'deeper than 256 values at byte 257'],
    ['81'.repeat(300), 'deeper than 256 values at byte 129'],
  ])('%s is refused: %s', (bytes, detail) => {
    expect(read(hex(bytes))).toBe(`payload_not_as_declared: ${detail}`)
  })

  it('is what another implementation writes, whatever the values', () => {
    fc.assert(
      fc.property(anyValue, (one) => {
        expect(exactJson(read(encode(one, { useBigInt64: true })))).toEqual(one)
      }),
    )
  })

  it('tells the time of a reading by an extension that is one', async () => {
    const payload = encode({ ts: new Date(1_769_860_799_123), a: 1.5 })
    expect(await decodeAs({ decoder: 'messagepack' }, payload)).toMatchObject({
      fields: { a: 1.5 },
      times: [1_769_860_799_123],
      faults: [],
    })
  })
})
