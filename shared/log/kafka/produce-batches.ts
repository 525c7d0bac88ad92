import { SluiceError } from '../../errors.ts'
import type { LogRecord } from '../../telemetry.ts'
import { encodeRecordBatch, recordSizeBound } from './record-batch.ts'

/** One batch of one partition on its way. */
export interface Batch {
  readonly partition: number
  /** Index of its first record among those of the partition in this round. */
  readonly start: number
  readonly count: number
  readonly bytes: Buffer
  baseOffset: number | undefined
}

/** A partition's records as batches that the topic takes; nearly always one. */
export function batchesOf(records: readonly LogRecord[], partition: number, maxBytes: number): Batch[] {
  const batches: Batch[] = []
  const add = (start: number, end: number): void => {
    const bytes = encodeRecordBatch(start === 0 && end === records.length ? records : records.slice(start, end))
    batches.push({ partition, start, count: end - start, bytes, baseOffset: undefined })
  }
  let start = 0
  let bytes = 0
  for (const [i, record] of records.entries()) {
    const size = recordSizeBound(record)
    if (i > start && bytes + size > maxBytes) {
      add(start, i)
      start = i
      bytes = 0
    }
    bytes += size
  }
  if (start < records.length) add(start, records.length)
  return batches
}

/** The first batch of each partition that is not confirmed: the next one waits for it. */
export function firstUnsent(batches: readonly Batch[]): Batch[] {
  const seen = new Set<number>()
  return batches.filter(({ partition, baseOffset }) => {
    if (baseOffset !== undefined || seen.has(partition)) return false
    seen.add(partition)
    return true
  })
}

/** The offset of a partition's record of this round, counted from its first one. */
export function offsetOf(batches: readonly Batch[], partition: number, at: number): number {
  const batch = batches.find((one) => one.partition === partition && at >= one.start && at < one.start + one.count)
  if (batch?.baseOffset === undefined) throw new SluiceError('internal', `partition ${partition} was not confirmed`)
  return batch.baseOffset + at - batch.start
}
