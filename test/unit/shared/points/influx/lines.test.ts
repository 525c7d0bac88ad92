import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatValue, LineWriter } from '../../../../../shared/points/influx/lines.ts'
import {
  areStorable,
  fieldKeyOf,
  fieldOf,
  fieldProblem,
  keepName,
  measurementOf,
  measurementPrefix,
  readName,
  tenantOf,
} from '../../../../../shared/points/influx/names.ts'
import { tenantName, wideName } from '../../../../names.ts'
import { keepText, readText } from '../../../../../shared/points/influx/text.ts'
import { middleBySize } from '../../../../../shared/points/influx/writer.ts'
import { FIELD_TYPES, type FieldType } from '../../../../../shared/telemetry.ts'
import { batchOf, seriesOf, type TestPoint } from '../../../../contract/points-harness.ts'

function linesOf(points: readonly TestPoint[]): string[] {
  const batch = batchOf(points)
  const text = new LineWriter().write(batch, [...points.keys()])
  expect(text === '' || text.endsWith('\n')).toBe(true)
  return text.split('\n').slice(0, -1)
}

const [a, b] = [seriesOf('float', { field: 'a' }), seriesOf('float', { field: 'b' })]

const types = fc.constantFrom<FieldType[]>('float', 'integer', 'boolean', 'string')

describe('lines', () => {
  it('hold the fields of one stream and time together, and each type in its form', () => {
    const types = (['float', 'integer', 'boolean', 'string'] as const).map((type) => seriesOf(type))
    const values = [1.5, 7, true, 'on "off" \\']
    const points = types.map((series, i) => ({ series, ms: 1, ns: 20, value: values[i] ?? 0 }))
    expect(linesOf(points)).toEqual([
      'acme.telemetry,device=pump-1 float=1.5,integer\u001finteger=7i,boolean\u001fboolean=true,string\u001ftext="on \\"off\\" \\\\" 1000020',
    ])
  })

  it('begin anew for another time, device or stream, and for a field that is there already', () => {
    const other = seriesOf('float', { device: 'pump-2', field: 'a' })
    const points: TestPoint[] = [
      { series: a, ms: 0, ns: 0, value: 1 },
      { series: b, ms: 0, ns: 0, value: 2 },
      { series: { ...a }, ms: 0, ns: 0, value: 3 },
      { series: b, ms: 0, ns: 1, value: 4 },
      { series: other, ms: 0, ns: 1, value: 5 },
      { series: b, ms: 5, ns: 999_999, value: 6 },
    ]
    expect(linesOf(points)).toEqual([
      'acme.telemetry,device=pump-1 a=1,b=2 0000000',
      'acme.telemetry,device=pump-1 a=3 0000000',
      'acme.telemetry,device=pump-1 b=4 0000001',
      'acme.telemetry,device=pump-2 a=5 0000001',
      'acme.telemetry,device=pump-1 b=6 5999999',
    ])
  })

  it('are never wider than some fields', () => {
    const points = Array.from({ length: 40 }, (_, i) => {
      return { series: seriesOf('float', { field: `f${i}` }), ms: 1, ns: 0, value: i }
    })
    expect(linesOf(points).map((line) => line.split(',').length)).toEqual([17, 17, 9])
  })

  it('escape what separates', () => {
    const series = seriesOf('float', { tenant: 'a, b', device: 'x=1, y', stream: 's s', field: 'f=1, "g" \\' })
    expect(linesOf([{ series, ms: 1, ns: 0, value: 1 }])).toEqual([
      'a\\,\\ b.s\\ s,device=x\\=1\\,\\ y f\\=1\\,\\ "g"\\ \x1a=1 1000000',
    ])
  })

  it.each([
    ['float', -0, '-0'],
    ['float', 5e-324, '5e-324'],
    ['float', 1e21, '1e+21'],
    ['integer', -0, '0i'],
    ['integer', 2 ** 60, '1152921504606846976i'],
    ['integer', -(2n ** 63n), '-9223372036854775808i'],
    ['string', '', '"\x100"'],
    ['string', 'a\r\nb', '"a\x1a\nb"'],
  ] as const)('write %s %s as %s', (type, value, text) => {
    expect(formatValue(type, value)).toBe(text)
  })
})

describe('names', () => {
  it('never meet, whatever their dots', () => {
    const dotted = fc.stringMatching(/^[a.]{1,3}$/)
    const name = fc.oneof(fc.stringMatching(/^[a.:]{1,3}$/), wideName)
    const pair = fc.tuple(fc.oneof(tenantName, dotted), name)
    fc.assert(
      fc.property(pair, pair, ([tenant, stream], [other, otherStream]) => {
        const same = tenant === other && stream === otherStream
        expect(measurementOf(tenant, stream) === measurementOf(other, otherStream)).toBe(same)
        expect(areStorable(tenant, stream, otherStream)).toBe(true)
        expect(tenantOf(measurementOf(tenant, stream))).toBe(tenant)
        expect(readName(measurementOf(tenant, stream).slice(measurementPrefix(tenant).length))).toBe(stream)
        expect(keepName(stream) === keepName(otherStream)).toBe(stream === otherStream)
        expect(keepName(stream)).not.toMatch(/[\\\n\r\0]/)
      }),
    )
  })

  it('of fields come back, when they are allowed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), types, types, (field, type, plain) => {
        fc.pre(fieldProblem(field) === undefined)
        const key = fieldKeyOf({ field, type, plain })
        expect(fieldOf(key)).toBe(field)
        expect(key).not.toContain('\\')
        expect(key === fieldKeyOf({ field, type: plain, plain })).toBe(type === plain)
      }),
    )
  })

  it.each(['', 'time', '_x', '_'])('that InfluxDB keeps for itself stand under another: %j', (field) => {
    const keys = FIELD_TYPES.map((type) => fieldKeyOf({ field, type }))
    for (const key of keys) expect(key).not.toMatch(/^(?:_|time$|$)/)
    expect(keys.map(fieldOf)).toEqual(FIELD_TYPES.map(() => field))
  })

  it.each(['\ud800', 'a\udc00'])('%j names no field', (field) => {
    expect(fieldProblem(field)).toMatch(/^field_name_/)
  })

  it.each([['a:b'], ['#a'], [''], ['a\\'], ['a\nb'], ['\udc00']])('%j names no tenant', (tenant) => {
    expect(areStorable(tenant)).toBe(false)
  })
})

describe('texts', () => {
  it('come back, and are never kept empty or with a CR', () => {
    const unit = fc.constantFrom('', '\r', '\n', '\x1a', '\x10', '0', 'Z', 'P', 'x')
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(unit).map((parts) => parts.join('')),
          fc.string({ unit: 'binary' }),
        ),
        (text) => {
          const kept = keepText(text)
          expect(kept).not.toMatch(/^$|\r/)
          expect(readText(kept)).toBe(text)
        },
      ),
    )
  })
})

it('a batch is divided where its halves are about as large, and always divided', () => {
  const text = seriesOf('string')
  const lengths = fc.array(fc.nat({ max: 5000 }), { minLength: 2, maxLength: 30 })
  fc.assert(
    fc.property(lengths, (sizes) => {
      const batch = batchOf(sizes.map((size, ms) => ({ series: text, ms, ns: 0, value: 'x'.repeat(size) })))
      const middle = middleBySize(batch, [...sizes.keys()])
      expect(middle).toBeGreaterThanOrEqual(1)
      expect(middle).toBeLessThan(sizes.length)
      const weight = (part: readonly number[]) => part.reduce((sum, size) => sum + size + 40, 0)
      const excess = weight(sizes.slice(0, middle)) - weight(sizes) / 2
      expect(middle === 1 || excess <= (sizes[middle - 1] ?? 0) + 40).toBe(true)
    }),
  )
})
