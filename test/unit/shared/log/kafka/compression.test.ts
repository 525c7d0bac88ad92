import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable } from '../../../../../shared/decoders/decode.ts'
import { MAX_UNPACKED_BYTES } from '../../../../../shared/log/kafka/compression.ts'
import { crc32c } from '../../../../../shared/log/kafka/crc32c.ts'
import { decodeRecordBatches, encodeRecordBatch } from '../../../../../shared/log/kafka/record-batch.ts'
import type { LogRecord } from '../../../../../shared/telemetry.ts'

const HEADER = 61

type Pack = (records: Buffer) => Buffer

/** As `SnappyOutputStream` of Java writes it: blocks behind their lengths. */
function packXerial(records: Buffer): Buffer {
  const size = Math.max(100, Math.floor(records.length / 10))
  const parts: Buffer[] = [Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])]
  for (let at = 0; at < records.length; at += size) {
    const block = compressSync(records.subarray(at, at + size))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

const PACKS: readonly (readonly [string, number, Pack])[] = [
  ['gzip', 1, (records) => gzipSync(records)],
  ['snappy', 2, (records) => compressSync(records)],
  ['snappy in blocks', 2, packXerial],
  ['lz4', 3, (records) => compressFrameSync(records)],
  ['lz4 with checksums', 3, (records) => compressFrameSync(records, { contentChecksum: true, blockChecksums: true })],
  ['zstd', 4, (records) => zstdCompressSync(records)],
]

/** A batch whose records are these bytes, as a broker keeps it. */
function batchOf(list: readonly LogRecord[], codec: number, packed: Buffer, offset = 0): Buffer {
  const batch = Buffer.concat([encodeRecordBatch(list).subarray(0, HEADER), packed])
  batch.writeBigInt64BE(BigInt(offset), 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt16BE(codec, 21)
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
  return batch
}

const record = fc.record({
  key: fc.string({ maxLength: 20 }),
  value: fc.uint8Array({ maxLength: 300 }),
  ms: fc.nat(),
  ns: fc.nat(999_999),
  headers: fc.constantFrom(undefined, { topic: 't/demo/first/telemetry/power' }),
})
const records = fc.array(record, { minLength: 1, maxLength: 20 })

describe.each(PACKS)('batches packed with %s', (_name, codec, pack) => {
  it('give back every record, from any offset on', () => {
    fc.assert(
      fc.property(records, fc.nat(), (list, skip) => {
        const batch = encodeRecordBatch(list)
        const packed = batchOf(list, codec, pack(batch.subarray(HEADER)), 70)
        const from = 70 + (skip % list.length)
        const plain = batchOf(list, 0, batch.subarray(HEADER), 70)
        const { kept, ...read } = decodeRecordBatches(packed, from)
        expect(read).toEqual({ ...decodeRecordBatches(plain, from), kept: undefined })
        expect(kept).toBe(packed.length + batch.length - HEADER)
      }),
    )
  })

  it('that would become too large are one record', () => {
    const [one] = fc.sample(records, 1)
    const packed = batchOf(one ?? [], codec, pack(Buffer.alloc(MAX_UNPACKED_BYTES + 1)))
    const [found, ...others] = decodeRecordBatches(packed, 0).runs.flatMap((run) => run.records)
    expect([found?.key, found !== undefined && packed.equals(found.value), others]).toEqual(['', true, []])
  })
})

it('whatever a batch holds, it is its records or one record with all of its bytes, and others are not touched', () => {
  const packed = fc.oneof(
    fc.tuple(fc.integer({ min: 0, max: 7 }), fc.uint8Array({ maxLength: 200 })),
    fc.constantFrom(...PACKS).chain(([, codec, pack]) =>
      fc.tuple(fc.constant(codec), records, fc.nat(), fc.nat(255)).map(([, list, at, byte]): [number, Uint8Array] => {
        const whole = pack(encodeRecordBatch(list).subarray(HEADER))
        whole[at % whole.length] = byte
        return [codec, whole]
      }),
    ),
  )
  fc.assert(
    fc.property(records, packed, (list, [codec, bytes]) => {
      const before = batchOf(list, 0, encodeRecordBatch(list).subarray(HEADER))
      const odd = batchOf(list, codec, Buffer.from(bytes), list.length)
      const behind = batchOf(list, 0, encodeRecordBatch(list).subarray(HEADER), 2 * list.length)
      const { runs, next } = decodeRecordBatches(Buffer.concat([before, odd, behind]), 0)
      expect(next).toBe(3 * list.length)
      const offsets = runs.flatMap(({ firstOffset, records: own }) => own.map((_, i) => firstOffset + i))
      const isOf = (part: number) => offsets.filter((offset) => Math.floor(offset / list.length) === part)
      expect([isOf(0).length, isOf(2).length]).toEqual([list.length, list.length])
      const unreadable = runs.flatMap((run) => run.records).filter(({ value }) => odd.equals(value))
      if (unreadable.length === 0) return
      expect(isOf(1)).toEqual([2 * list.length - 1])
      const { faults } = decodeRecords(unreadable, new SeriesTable())
      expect(faults.get(0)?.first).toMatchObject([{ code: 'batch_unreadable', element: null }])
    }),
    { numRuns: Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300) },
  )
})

it.each([
  ['in front of', 1],
  ['behind', 2],
])('a record that says that it lies %s its batch takes no place of another one', (_, delta) => {
  const list: LogRecord[] = [{ key: 'k', value: Buffer.from('v'), ms: 1, ns: 0, headers: undefined }]
  const records = encodeRecordBatch(list).subarray(HEADER)
  const odd = Buffer.from(records)
  // Length, attributes and time of one byte each; then where the record lies in the batch.
  odd[3] = delta
  const batches = [batchOf(list, 0, records, 0), batchOf(list, 0, odd, 1), batchOf(list, 0, records, 2)]
  const { runs } = decodeRecordBatches(Buffer.concat(batches), 0)
  const offsets = runs.flatMap(({ firstOffset, records: own }) => own.map((__, i) => firstOffset + i))
  expect(offsets).toEqual([0, 1, 2])
  expect(batches[1]?.equals(runs.flatMap((run) => run.records)[1]?.value ?? Buffer.alloc(0))).toBe(true)
})

describe('batches that are packed here', () => {
  it('give back every record, and are never larger', () => {
    fc.assert(
      fc.property(records, (list) => {
        const packed = encodeRecordBatch(list, 'zstd')
        const plain = encodeRecordBatch(list)
        expect(decodeRecordBatches(packed, 0).runs).toEqual(decodeRecordBatches(plain, 0).runs)
        expect(packed.length).toBeLessThanOrEqual(plain.length)
      }),
    )
  })

  it('of readings are a fraction of what they are', () => {
    const list = Array.from({ length: 200 }, (_, i): LogRecord => {
      const value = Buffer.from(`{"temperature":${20 + (i % 50) / 10},"humidity":40.25,"ok":true}`)
      return { key: `demo/sensor-${i}`, value, ms: 1_700_000_000_000 + i, ns: i, scheme: undefined, headers: undefined }
    })
    expect(encodeRecordBatch(list, 'zstd').length).toBeLessThan(encodeRecordBatch(list).length / 3)
  })
})
