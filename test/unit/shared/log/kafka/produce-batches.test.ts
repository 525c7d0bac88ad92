import fc from 'fast-check'
import { expect, it } from 'vitest'
import { batchesOf, firstUnsent, offsetOf } from '../../../../../shared/log/kafka/produce-batches.ts'
import { decodeRecordBatches } from '../../../../../shared/log/kafka/record-batch.ts'
import type { LogRecord } from '../../../../../shared/telemetry.ts'

const record = fc.nat(400).map((size): LogRecord => {
  return { key: 'acme/pump', value: Buffer.alloc(size, size), ms: size, ns: 0, headers: undefined }
})

it('cuts a partition into batches within the bound, in order, and finds every record in them again', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 30 }), fc.integer({ min: 1, max: 2000 }), (records, maxBytes) => {
      const batches = batchesOf(records, 4, maxBytes)
      const read = batches.flatMap(({ bytes }) => decodeRecordBatches(bytes, 0).runs.flatMap((run) => run.records))
      expect(read.map(({ ms }) => ms)).toEqual(records.map(({ ms }) => ms))
      for (const { bytes, count } of batches) if (count > 1) expect(bytes.length).toBeLessThanOrEqual(maxBytes + 61)
      // A broker may put other producers' records between two batches.
      for (const [i, batch] of batches.entries()) batch.baseOffset = batch.start + 100 * i
      for (const [i] of records.entries()) {
        const place = batches.findIndex(({ start, count }) => i >= start && i < start + count)
        expect(offsetOf(batches, 4, i)).toBe(i + 100 * place)
      }
    }),
  )
})

it('has one batch of a partition under way at a time, and the next only behind it', () => {
  const big: LogRecord = { key: 'k', value: Buffer.alloc(100), ms: 0, ns: 0, headers: undefined }
  const [first, second] = batchesOf([big, big], 0, 1)
  const [other] = batchesOf([big], 1, 1)
  if (first === undefined || second === undefined || other === undefined) throw new Error('too few batches')
  expect(firstUnsent([first, second, other])).toEqual([first, other])
  other.baseOffset = 5
  expect(firstUnsent([first, second, other])).toEqual([first])
  first.baseOffset = 0
  expect(firstUnsent([first, second, other])).toEqual([second])
})
