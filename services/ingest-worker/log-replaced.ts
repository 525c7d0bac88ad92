import type { LogGap } from '../../shared/log/port.ts'
import type { StreamState } from '../../shared/registry/port.ts'
import type { Slice } from './slice.ts'

/**
 * Compares the position of a latest state with the log that a record of its stream is read from. A position that the log
 * had not reached when the partition became ours was given out by one that has been cut or restored since: the same
 * offsets come again, for other records, and `progress.log` is named anew for them. Of such a log, and of one that was made
 * anew, the gap is told once.
 */
export function checkPosition(slice: Slice, record: number, state: StreamState | undefined): LogGap | undefined {
  const { progress, firstOffset, records } = slice
  const { log, partition, end } = progress
  // Without a name, or for another partition, nothing is known of it.
  if (state === undefined || state.log === '' || state.partition !== partition) return undefined
  const isCut = state.log === log && state.offset >= Math.max(end, firstOffset + record)
  if (isCut) progress.log = afterCut(log)
  else if (state.log === log || !progress.isNew) return undefined
  progress.isNew = false
  const places = { partition, log: state.log, from: state.offset + 1, next: firstOffset }
  return { reason: 'replaced', lost: 0, ...places, beforeMs: state.lastSeenMs, behindMs: records[0]?.ms }
}

/** Name for the log from here on: positions under the old one do not compare with those to come. */
function afterCut(log: string): string {
  const [name = '', cuts = '0'] = log.split('.')
  return `${name}.${Number(cuts) + 1}`
}
