import type { LogBatch } from '../port.ts'
import type { PartitioningMember } from './partitioning-member.ts'

/**
 * What of a batch may be read by now, as soon as it may be: not the records behind a change of partitions before those that
 * came before it. Ends early once the signal is aborted.
 */
export async function* readableParts(
  batch: LogBatch,
  partitioning: Pick<PartitioningMember, 'readable'>,
  signal: AbortSignal,
): AsyncGenerator<LogBatch> {
  let { firstOffset, records } = batch
  while (records.length > 0) {
    const room = await partitioning.readable(batch.partition, firstOffset, signal)
    if (room === 0) return
    yield { ...batch, firstOffset, records: room < records.length ? records.slice(0, room) : records }
    firstOffset += room
    records = records.slice(room)
  }
}
