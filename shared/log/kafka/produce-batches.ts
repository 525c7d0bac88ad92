import { SluiceError } from '../../errors.ts'
import type { LogRecord } from '../../telemetry.ts'
import { partitionOf } from '../partition.ts'
import { type Compression, encodeRecordBatch, recordSizeBound } from './record-batch.ts'

/** One batch of one partition on its way. */
export interface Batch {
  readonly partition: number
  /** Index of its first record among those of the partition in this round. */
  readonly start: number
  readonly count: number
  readonly bytes: Buffer
  baseOffset: number | undefined
  /** The topic takes smaller ones only; of one record: never. */
  isTooLarge: boolean
}

/** Where an append's records of one partition lie among those of the round. */
export interface Place {
  readonly start: number
  count: number
}

export interface Round {
  /** Of each append, by partition. */
  readonly places: readonly ReadonlyMap<number, Place>[]
  readonly recordsOf: (partition: number) => readonly LogRecord[]
  readonly batches: Batch[]
}

/** How batches are made. */
export interface BatchPlan {
  /** Of the largest batch, before it is packed. */
  readonly maxBytes: number
  readonly compression: Compression
}

/** What the appends have for each partition, in their order, as batches. */
export function planRound(
  appends: readonly { readonly records: readonly LogRecord[] }[],
  partitions: number,
  plan: BatchPlan,
): Round {
  const byPartition = Array.from({ length: partitions }, (): LogRecord[] => [])
  const places = appends.map(({ records }) => {
    const place = new Map<number, Place>()
    for (const record of records) {
      const partition = partitionOf(record.key, partitions)
      const own = byPartition[partition]
      if (own === undefined) continue
      const known = place.get(partition)
      if (known === undefined) place.set(partition, { start: own.length, count: 1 })
      else known.count += 1
      own.push(record)
    }
    return place
  })
  const batches = byPartition.flatMap((records, partition) => batchesOf(records, partition, plan))
  return { places, recordsOf: (partition) => byPartition[partition] ?? [], batches }
}

/** A partition's records, or those from `first` to `behind`, as batches that the topic takes; nearly always one. */
export function batchesOf(
  records: readonly LogRecord[],
  partition: number,
  { maxBytes, compression }: BatchPlan,
  { first, behind }: { first: number; behind: number } = { first: 0, behind: records.length },
): Batch[] {
  const batches: Batch[] = []
  const add = (start: number, end: number): void => {
    const part = start === 0 && end === records.length ? records : records.slice(start, end)
    const bytes = encodeRecordBatch(part, compression)
    batches.push({ partition, start, count: end - start, bytes, baseOffset: undefined, isTooLarge: false })
  }
  let start = first
  let bytes = 0
  for (let i = first; i < behind; i += 1) {
    const record = records[i]
    if (record === undefined) break
    const size = recordSizeBound(record)
    if (i > start && bytes + size > maxBytes) {
      add(start, i)
      start = i
      bytes = 0
    }
    bytes += size
  }
  if (start < behind) add(start, behind)
  return batches
}

/** It is confirmed, or is one record that never will be. */
export function isSettled({ baseOffset, isTooLarge, count }: Batch): boolean {
  return baseOffset !== undefined || (isTooLarge && count === 1)
}

/**
 * Puts smaller batches in the place of those that the topic found too large. `maxBytes` is what it is known to take;
 * where that is no help (a limit elsewhere), halves. False when there was nothing to do: none, or single records.
 */
export function splitTooLarge(
  batches: Batch[],
  recordsOf: (partition: number) => readonly LogRecord[],
  { maxBytes, compression }: BatchPlan,
): boolean {
  let hasSplit = false
  for (const batch of batches.filter(({ isTooLarge, count }) => isTooLarge && count > 1)) {
    const { partition, start, count, bytes } = batch
    const half = { maxBytes: Math.min(maxBytes, Math.floor(bytes.length / 2)), compression }
    const parts = batchesOf(recordsOf(partition), partition, half, { first: start, behind: start + count })
    batches.splice(batches.indexOf(batch), 1, ...parts)
    hasSplit = true
  }
  return hasSplit
}

/** The first batch of each partition that is not confirmed: the next one waits for it. */
export function firstUnsent(batches: readonly Batch[]): Batch[] {
  const seen = new Set<number>()
  return batches.filter((batch) => {
    if (isSettled(batch) || seen.has(batch.partition)) return false
    seen.add(batch.partition)
    return true
  })
}

/** By partition: the offset of the first record of an append that is stored; none where none is. */
export function firstOffsets(batches: readonly Batch[], places: ReadonlyMap<number, Place>): Map<number, number> {
  const first = new Map<number, number>()
  for (const [partition, { start, count }] of places) {
    const own = batches.filter((batch) => batch.partition === partition)
    for (const batch of own.filter((one) => one.start + one.count > start && one.start < start + count)) {
      if (!isSettled(batch)) throw new SluiceError('internal', `partition ${partition} was not confirmed`)
      if (batch.baseOffset === undefined) continue
      first.set(partition, batch.baseOffset + Math.max(0, start - batch.start))
      break
    }
  }
  return first
}
