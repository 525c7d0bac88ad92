import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DecodedColumns } from '../../../../shared/decoders/decoded.ts'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { encodeHandedOn, FORM } from '../../../../shared/decoders/handed-on.ts'
import type { LogRecord, PointBatch, PointValue } from '../../../../shared/telemetry.ts'

const value: fc.Arbitrary<PointValue> = fc.oneof(
  fc.double(),
  fc.constantFrom(-0, 5e-324, 1.7976931348623157e308, 0.1, 2 ** 53),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.boolean(),
  fc.string({ unit: 'binary', maxLength: 40 }),
)
const point = fc.record({
  field: fc.string({ unit: 'binary', maxLength: 20 }),
  value,
  ms: fc.integer({ min: 0, max: 9_223_372_036_854 }),
  ns: fc.integer({ min: 0, max: 999_999 }),
})

const TYPES = { number: 'float', bigint: 'float', boolean: 'boolean', string: 'string' } as const

function batchOf(points: readonly { field: string; value: PointValue; ms: number; ns: number }[]): PointBatch {
  const nowhere = { tenant: '', device: '', stream: '' }
  return {
    series: points.map(({ field, value: one }) => {
      return { ...nowhere, field, type: TYPES[typeof one as keyof typeof TYPES] }
    }),
    ms: points.map(({ ms }) => ms),
    ns: points.map(({ ns }) => ns),
    values: points.map(({ value: one }) => one),
  }
}

function handedOn(bytes: Uint8Array, headers: Record<string, string> = { form: FORM }): LogRecord {
  return { key: 'acme/u1', value: bytes, ms: 5, ns: 7, scheme: 1, headers }
}

describe('the canonical form', () => {
  it('gives every point back, with its time, kind and exact value, whatever its record was cut into', () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 30 }), fc.string({ minLength: 1 }), (points, stream) => {
        const batch = batchOf(points)
        const records = [...encodeHandedOn(stream, batch)].map((bytes) => handedOn(bytes))
        const { points: read, faults, others } = decodeRecords(records, new SeriesTable())
        expect([faults.size, others.length]).toEqual([0, 0])
        expect(read.ms).toEqual(batch.ms)
        expect(read.ns).toEqual(batch.ns)
        expect(read.values).toEqual(batch.values)
        expect(read.series.map(({ field, type }) => [field, type])).toEqual(
          batch.series.map(({ field, type }) => [field, type]),
        )
        for (const one of read.series) expect(one).toMatchObject({ tenant: 'acme', device: 'u1', stream })
      }),
    )
  })

  it('cuts what is large, and loses nothing at the cuts', () => {
    const points = Array.from({ length: 5000 }, (_, i) => {
      return { field: `field ${i}`, value: 'x'.repeat(i % 300), ms: Math.floor(i / 700), ns: 0 }
    })
    const parts = [...encodeHandedOn('m', batchOf(points))]
    expect(parts.length).toBeGreaterThan(5)
    for (const part of parts) expect(part.byteLength).toBeLessThan(70_000)
    const { points: read } = decodeRecords(
      parts.map((bytes) => handedOn(bytes)),
      new SeriesTable(),
    )
    expect(read.values).toEqual(points.map((one) => one.value))
    expect(read.ms).toEqual(points.map(({ ms }) => ms))
  })

  it('is decoded alone, whatever topic and stream the record names beside it', () => {
    const [bytes] = encodeHandedOn('motor', batchOf([{ field: 'n', value: 1, ms: 3, ns: 4 }]))
    const topic = 't/acme/pump-1/telemetry/other'
    const { points } = decodeRecords([handedOn(bytes as Uint8Array, { form: FORM, topic })], new SeriesTable())
    expect(points.series).toMatchObject([{ device: 'u1', stream: 'motor', field: 'n' }])
  })

  it.each([
    ['a form of a newer Sluice', '{"stream":"s","readings":[]}', '2'],
    ['what is no JSON', '{"stream":', FORM],
    ['no readings', '{"stream":"s"}', FORM],
    ['a time that is none', '{"stream":"s","readings":[["1",0,["a","number",1]]]}', FORM],
    ['a kind that is not known', '{"stream":"s","readings":[[1,0,["a","colour",1]]]}', FORM],
    ['a value of another kind', '{"stream":"s","readings":[[1,0,["a","boolean",1]]]}', FORM],
    ['digits that are none', '{"stream":"s","readings":[[1,0,["a","integer","1.5"]]]}', FORM],
  ])('refuses %s as a whole, and says so', (_what, text, form) => {
    const { points, faults } = decodeRecords([handedOn(Buffer.from(text), { form })], new SeriesTable())
    expect(points.series).toEqual([])
    expect(faults.get(0)?.first).toMatchObject([{ element: null, path: null, code: 'form_unknown' }])
  })

  it('makes nothing of nothing', () => {
    expect([...encodeHandedOn('s', new DecodedColumns().points)]).toEqual([])
  })
})
