import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { BatchCursor, BatchPacker, flawOf, seal } from '../../../../shared/log/record-format.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'

/** `[{"a":1},{"a":2},{"a":3}]` and `{"b":1}`, as they were packed before stamps had a scheme. */
const VERSION_1 =
  'AQAAAEALZgMCAAAAAADgyT7BeUI+Qg8ACgAAAAAAAAAZAAAAZGVtby9maXJzdFt7ImEiOjF9LHsiYSI6Mn0seyJhIjozfV0AEODJPsF5QgAAAAAKAAAA' +
  'KQAAAAcAAABkZW1vL2ZpcnN0BQAAAHRvcGljHAAAAHQvZGVtby9maXJzdC90ZWxlbWV0cnkvcG93ZXJ7ImIiOjF9'

const text = fc.oneof(fc.string(), fc.string({ unit: 'grapheme', maxLength: 200 }), fc.constant('__proto__'))
const record: fc.Arbitrary<LogRecord> = fc.record({
  key: text,
  value: fc.uint8Array({ maxLength: 600 }),
  ms: fc.integer({ min: 0, max: 9_223_372_036_854 }),
  ns: fc.integer({ min: 0, max: 999_999 }),
  scheme: fc.constantFrom(undefined, 1 as const, 2 as const),
  headers: fc.option(
    fc.dictionary(text, text, { minKeys: 1, maxKeys: 5 }).map((headers) => ({ ...headers })),
    { nil: undefined },
  ),
})

/** Runs of records whose names are those of the one before, or nearly. */
const alike = fc
  .array(fc.tuple(record, fc.constantFrom('same', 'same key', 'same headers', 'other')), { maxLength: 40 })
  .map((drawn) => {
    const records: LogRecord[] = []
    for (const [one, as] of drawn) {
      const { key, headers } = records.at(-1) ?? one
      const names = { same: { key, headers }, 'same key': { key }, 'same headers': { headers }, other: {} }[as]
      records.push({ ...one, ...names })
    }
    return records
  })

function pack(records: readonly LogRecord[], capacity = 256): Uint8Array<ArrayBuffer> {
  const packer = new BatchPacker(capacity)
  for (const one of records) packer.add(one)
  const packed = packer.finish()
  seal(packed)
  return packed
}

function comparable({ headers, value, ...rest }: LogRecord): unknown {
  return { ...rest, value: Buffer.from(value).toString('hex'), headers: headers && Object.entries(headers).sort() }
}

function readAll(cursor: BatchCursor): LogRecord[] {
  const records: LogRecord[] = []
  while (cursor.remaining > 0) records.push(cursor.next())
  return records
}

describe('packed records', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(fc.oneof(fc.array(record, { maxLength: 40 }), alike), fc.nat(5000), (records, capacity) => {
        const packed = pack(records, capacity)
        expect(flawOf(packed, records.length)).toBeUndefined()
        expect(readAll(new BatchCursor(packed)).map(comparable)).toEqual(records.map(comparable))
      }),
    )
  })

  it('can be read from any one of them on, with its time known before', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), fc.nat(), (records, seed) => {
        const skipped = seed % records.length
        const cursor = new BatchCursor(pack(records))
        cursor.skip(skipped)
        const { ms, ns } = cursor.peekTime()
        expect([ms, ns]).toEqual([records[skipped]?.ms, records[skipped]?.ns])
        expect(readAll(cursor).map(comparable)).toEqual(records.slice(skipped).map(comparable))
      }),
    )
  })

  it('of the version before schemes come back as they were written', () => {
    const [first, second] = readAll(new BatchCursor(Buffer.from(VERSION_1, 'base64')))
    expect(flawOf(Buffer.from(VERSION_1, 'base64'), 2)).toBeUndefined()
    expect(first).toMatchObject({ key: 'demo/first', ms: 1_769_860_800_000, ns: 999_998, scheme: undefined })
    expect(second).toMatchObject({ ms: 1_769_860_800_001, ns: 0, headers: { topic: 't/demo/first/telemetry/power' } })
    const { points } = decodeRecords(
      [first, second].flatMap((one) => one ?? []),
      new SeriesTable(),
    )
    expect([points.values, points.ms, points.ns]).toEqual([
      [1, 2, 3, 1],
      [1_769_860_800_000, 1_769_860_800_000, 1_769_860_800_001, 1_769_860_800_001],
      [999_998, 999_999, 0, 0],
    ])
  })

  it('share the memory of the buffer instead of copying values', () => {
    const packed = pack([{ key: 'a/b', value: Buffer.from('value'), ms: 1, ns: 2, headers: undefined }])
    expect(new BatchCursor(packed).next().value.buffer).toBe(packed.buffer)
  })

  it('know the newest receive time, in whatever order they came', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), (records) => {
        const packer = new BatchPacker(256)
        let bytes = 0
        for (const one of records) bytes += packer.add(one)
        const newest = [...records].sort((a, b) => a.ms - b.ms || a.ns - b.ns).at(-1)
        expect([packer.ms, packer.ns, packer.count]).toEqual([newest?.ms, newest?.ns, records.length])
        expect(packer.byteLength).toBe(bytes + 12)
      }),
    )
  })

  it('show any changed bit, and any cut', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 5 }), fc.nat(), fc.nat(7), (records, seed, bit) => {
        const packed = pack(records)
        const length = seed % packed.byteLength
        expect(flawOf(packed.slice(0, length), records.length)).toBeDefined()
        // Bytes 1 to 3 are free.
        const at = length >= 1 && length <= 3 ? 0 : length
        packed[at] = (packed[at] ?? 0) ^ (1 << bit)
        expect(flawOf(packed, records.length)).toBeDefined()
      }),
    )
  })

  it('of another format version are not read', () => {
    const packed = pack([])
    packed[0] = 3
    expect(flawOf(packed, 0)).toBe('unknown format version 3')
  })
})
