import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  batchesOf,
  firstOffsets,
  firstUnsent,
  planRound,
  splitTooLarge,
} from '../../../../../shared/log/kafka/produce-batches.ts'
import { decodeRecordBatches } from '../../../../../shared/log/kafka/record-batch.ts'
import type { LogRecord } from '../../../../../shared/telemetry.ts'

const record = fc.nat(400).map((size): LogRecord => {
  return { key: 'acme/pump', value: Buffer.alloc(size, size), ms: size, ns: 0, headers: undefined }
})

it('cuts a partition into batches within the bound, in order, and finds every record in them again', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 30 }), fc.integer({ min: 1, max: 2000 }), (records, maxBytes) => {
      const batches = batchesOf(records, 4, { maxBytes, compression: 'none' })
      const read = batches.flatMap(({ bytes }) => decodeRecordBatches(bytes, 0).runs.flatMap((run) => run.records))
      expect(read.map(({ ms }) => ms)).toEqual(records.map(({ ms }) => ms))
      for (const { bytes, count } of batches) if (count > 1) expect(bytes.length).toBeLessThanOrEqual(maxBytes + 61)
      // A broker may put other producers' records between two batches.
      for (const [i, batch] of batches.entries()) batch.baseOffset = batch.start + 100 * i
      for (const [i] of records.entries()) {
        const place = batches.findIndex(({ start, count }) => i >= start && i < start + count)
        expect(firstOffsets(batches, new Map([[4, { start: i, count: 1 }]])).get(4)).toBe(i + 100 * place)
      }
    }),
  )
})

it('has one batch of a partition under way at a time, and the next only behind it', () => {
  const big: LogRecord = { key: 'k', value: Buffer.alloc(100), ms: 0, ns: 0, headers: undefined }
  const [first, second] = batchesOf([big, big], 0, { maxBytes: 1, compression: 'none' })
  const [other] = batchesOf([big], 1, { maxBytes: 1, compression: 'none' })
  if (first === undefined || second === undefined || other === undefined) throw new Error('too few batches')
  expect(firstUnsent([first, second, other])).toEqual([first, other])
  other.baseOffset = 5
  expect(firstUnsent([first, second, other])).toEqual([first])
  first.baseOffset = 0
  expect(firstUnsent([first, second, other])).toEqual([second])
})

it('splits what a topic finds too large until it fits, in order, and gives up single records only', () => {
  const appends = fc.array(fc.array(record, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 8 })
  const limits = fc.integer({ min: 80, max: 3000 })
  // What the producer is told of the limit may be wrong: the limit of the broker counts, too.
  fc.assert(
    fc.property(
      appends,
      limits,
      limits,
      fc.constantFrom('none' as const, 'zstd' as const),
      (lists, limit, told, compression) => {
        const { batches, places, recordsOf } = planRound(
          lists.map((records) => ({ records })),
          1,
          { maxBytes: 10_000, compression },
        )
        const stored: number[] = []
        for (let due = firstUnsent(batches); due.length > 0; due = firstUnsent(batches)) {
          for (const batch of due) {
            if (batch.bytes.length > limit) batch.isTooLarge = true
            else {
              batch.baseOffset = stored.length
              for (let i = 0; i < batch.count; i += 1) stored.push(batch.start + i)
            }
          }
          splitTooLarge(batches, recordsOf, { maxBytes: told, compression })
        }
        const all = lists.flat()
        const alone = (one: LogRecord): number =>
          batchesOf([one], 0, { maxBytes: 1, compression })[0]?.bytes.length ?? 0
        const fitting = [...all.keys()].filter((i) => alone(all[i] ?? fail()) <= limit)
        // Packed, records may fit together of which each alone does not.
        expect(stored).toEqual(
          compression === 'none' ? fitting : [...new Set([...stored, ...fitting])].sort((a, b) => a - b),
        )
        for (const [i, place] of places.entries()) {
          const { start, count } = place.get(0) ?? fail()
          const first = stored.findIndex((one) => one >= start && one < start + count)
          expect(firstOffsets(batches, place).get(0), `append ${i}`).toBe(first < 0 ? undefined : first)
        }
      },
    ),
  )
})

function fail(): never {
  throw new Error('nothing there')
}
