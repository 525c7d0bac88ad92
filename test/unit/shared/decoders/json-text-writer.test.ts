import fc from 'fast-check'
import { expect, it } from 'vitest'
import { JsonDecoder } from '../../../../shared/decoders/json.ts'
import { DecodedColumns } from '../../../../shared/decoders/decoded.ts'
import { JsonText } from '../../../../shared/decoders/json-text-writer.ts'
import { StreamSeries } from '../../../../shared/decoders/series.ts'

/** What the reader of JSON makes of an object with these members. */
function read(write: (text: JsonText) => void): DecodedColumns {
  const text = new JsonText('hex')
  text.beginObject()
  write(text)
  text.endObject()
  const out = new DecodedColumns()
  const series = new StreamSeries({ tenant: 'demo', device: 'one', stream: 'telemetry' }, { series: 0 })
  const record = { key: 'demo/one', value: text.toBytes(), ms: 0, ns: 0, headers: undefined }
  new JsonDecoder().decode(record, 0, series, out)
  return out
}

it('every double is the same double behind it, and what is no number is null', () => {
  fc.assert(
    fc.property(fc.double(), (value) => {
      const { points, nulls } = read((text) => {
        text.key('a')
        text.number(value)
      })
      if (Number.isFinite(value)) expect(points.values).toEqual([value])
      else expect([points.values, nulls]).toEqual([[], 1])
    }),
  )
})

it('every integer that no double holds is exact behind it', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), (value) => {
      const { points } = read((text) => {
        text.key('a')
        text.integer(value)
      })
      expect(BigInt(points.values[0] ?? 0)).toBe(value)
    }),
  )
})

it('every text and every name is the same behind it, and names may be of any kind', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (name, value) => {
      const { points } = read((text) => {
        text.key(`.${name}`)
        text.string(value)
        text.key('__proto__')
        text.bytes(Buffer.from('ff00', 'hex'))
      })
      expect(points.series.map(({ field }) => field)).toEqual([`.${name}`, '__proto__'])
      expect(points.values).toEqual([value, 'ff00'])
    }),
  )
})

it('half a surrogate pair refuses its field alone, as a name that stands twice does', () => {
  const { points, faults } = read((text) => {
    text.key('a')
    text.string('\ud800')
    for (const value of [1, 2]) {
      text.key('b')
      text.number(value)
    }
  })
  expect(points.values).toEqual([1])
  expect(faults.get(0)?.first.map(({ path, code }) => [path, code])).toEqual([
    ['a', 'value_unsupported'],
    ['b', 'field_duplicate'],
  ])
})
