import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { csv } from '../../../../shared/decoders/csv-rows.ts'
import { DEFAULT_POLICY } from '../../../../shared/policies/settings.ts'
import { decodeAs } from './decoding.ts'

/** The JSON, or the code and what is said. */
function read(payload: string, columns: readonly string[] = []): string {
  const record = { key: 'demo/one', value: Buffer.from(payload), ms: 0, ns: 0, headers: undefined }
  const policy = { ...DEFAULT_POLICY, csv_columns: columns }
  const text = csv.read(record.value, { record, stream: 'telemetry', policy })
  return text instanceof Uint8Array ? Buffer.from(text).toString() : `${text.code}: ${text.detail}`
}

describe('CSV', () => {
  it.each([
    ['a,b\n1,x', '[{"a":1,"b":"x"}]'],
    ['\ufeffa;b\r\n21,5;-0,25\r\n\r\n', '[{"a":21.5,"b":-0.25}]'],
    ['a\tb\n1e3\tTRUE\n', '[{"a":1e3,"b":true}]'],
    ['a,b,c\n"1","x ""y"",\nz",\n', '[{"a":"1","b":"x \\"y\\",\\nz","c":null}]'],
    ['a, b \n 007 , 1.50 ', '[{"a":"007","b":1.50}]'],
    ['a,b\n1\n1,2,3\n', '[{"a":1},{"a":1,"b":2,"3":3}]'],
    ['a,b\nNAN,-inf\n12345678901234567890,\n', '[{"a":nan,"b":nan},{"a":12345678901234567890,"b":null}]'],
    ['a\rb\r""', '[{"a":"b"},{"a":null}]'],
    ['a,b', '[]'],
    ['', '[]'],
    ['__proto__,a\n1,2', '[{"__proto__":1,"a":2}]'],
  ])('%j is %s', (payload, json) => {
    expect(read(payload)).toBe(json)
  })

  it('has the columns of the policy, and passes over a line that names them', () => {
    expect(read('1,2\n3,4', ['a', 'b'])).toBe('[{"a":1,"b":2},{"a":3,"b":4}]')
    expect(read('a,b\n3,4', ['a', 'b'])).toBe('[{"a":3,"b":4}]')
  })

  it.each([
    ['a\n"x', 'a quote without its partner at character 2'],
    ['a\n"x"y', 'a quote without its partner at character 2'],
    [`a\n${'1,'.repeat(1_001)}`, 'more than 1000 cells before character 2004'],
  ])('%j is refused', (payload, detail) => {
    expect(read(payload)).toBe(`payload_not_as_declared: ${detail}`)
  })

  it('is what RFC 4180 writes, whatever the cells', () => {
    const rows = fc.array(fc.array(fc.string(), { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(rows, (cells) => {
        const names = Array.from({ length: 4 }, (_, i) => `c${i}`)
        const quote = (cell: string) => `"${cell.replaceAll('"', '""')}"`
        const text = [names, ...cells].map((row) => row.map(quote).join(',')).join('\r\n')
        const expected = cells.map((row): unknown =>
          Object.fromEntries(row.map((cell, i) => [names[i], cell === '' ? null : cell])),
        )
        expect(JSON.parse(read(text))).toEqual(expected)
      }),
    )
  })

  it('is read as other readings are: with a time, and a verdict for each field', async () => {
    const outcome = await decodeAs({ decoder: 'csv' }, 'time,a,a\n2026-01-31T11:59:58Z,1,2\n2026-01-31T11:59:59Z,3,\n')
    expect(outcome.times).toEqual([Date.UTC(2026, 0, 31, 11, 59, 58), Date.UTC(2026, 0, 31, 11, 59, 59)])
    expect(outcome.faults.map(({ code, element }) => [code, element])).toEqual([
      ['field_duplicate', 0],
      ['field_duplicate', 1],
    ])
  })
})

describe('a payload that writes bytes as a text', () => {
  const cbor = Buffer.from('82a1616101a1616202', 'hex')
  it.each([
    ['base64', cbor.toString('base64')],
    ['base64', ` ${cbor.toString('base64url')}\r\n\0`],
    ['hex', cbor.toString('hex')],
    ['hex', `0x${cbor.toString('hex').toUpperCase()}\n`],
    ['hex', '82 a1 61 61 01 a1 61 62 02'],
  ] as const)('%s: %j', async (encoding, text) => {
    expect(await decodeAs({ decoder: 'cbor', encoding }, text)).toMatchObject({ fields: { a: 1, b: 2 }, faults: [] })
  })

  it.each([
    ['hex', 'abc'],
    ['hex', 'zz'],
    ['base64', 'a'],
    ['base64', 'a!bc'],
    ['base64', 'AQ=='],
  ] as const)('%s reads nothing else: %j', async (encoding, text) => {
    const { fields, faults } = await decodeAs({ decoder: 'json', encoding }, text)
    expect([fields, faults.map(({ code }) => code)]).toEqual([{}, ['payload_not_as_declared']])
  })

  it('is what it holds where no decoder is named', async () => {
    const text = Buffer.from('{"a":1}').toString('base64')
    expect((await decodeAs({ encoding: 'base64' }, text)).fields).toEqual({ a: 1 })
  })
})

it('hexadecimal digits of fields that are named are integers', async () => {
  const policy = { hex_numbers: ['a', 'b.c', 'd', 'e'] }
  const payload = '{"a":"0x1A2b","b":{"c":"ffffffffffffffff"},"d":"xyz","e":7,"f":"10"}'
  expect((await decodeAs(policy, payload)).fields).toEqual({ a: 6699, 'b.c': 2n ** 64n - 1n, d: 'xyz', e: 7, f: '10' })
})
