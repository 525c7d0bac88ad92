import type { TelemetryLog } from '../../../shared/log/port.ts'
import { sumOf } from '../jobs/letters-job.ts'
import type { JobCounts } from '../../../shared/registry/jobs-port.ts'
import type { Move, MoveFinder } from './moves.ts'

const BATCH_RECORDS = 1_000
/** Readings that are moved together: their points, and a delete for each, are soon done. */
const PAGE_MOVES = 200

/** What is found in a stretch of the log. */
export interface WalkPage {
  readonly moves: readonly Move[]
  /** Records that were looked at since the page before. */
  readonly records: number
}

/** Goes through what is in the log now, partition by partition, in its order. Ends early after `maxRecords`. */
export async function* walk(
  log: Pick<TelemetryLog, 'offsets' | 'read'>,
  finder: MoveFinder,
  { signal, maxRecords = Infinity }: { readonly signal: AbortSignal; readonly maxRecords?: number },
): AsyncGenerator<WalkPage> {
  let [moves, records, all]: [Move[], number, number] = [[], 0, 0]
  for (const { partition, start, end } of await log.offsets('telemetry.raw')) {
    if (start >= end) continue
    const options = { topic: 'telemetry.raw', partition, from: { offset: start }, follow: false } as const
    reading: for await (const batch of log.read({ ...options, maxRecords: BATCH_RECORDS, signal })) {
      for (const [i, record] of batch.records.entries()) {
        if (batch.firstOffset + i >= end || all >= maxRecords) break reading
        records += 1
        all += 1
        moves.push(...(await finder.of({ ...record, value: new Uint8Array(record.value) })))
        if (moves.length < PAGE_MOVES) continue
        yield { moves, records }
        ;[moves, records] = [[], 0]
      }
    }
    signal.throwIfAborted()
  }
  yield { moves, records }
}

/** Adds up what `countsOf` gives of each page. */
export async function countWalk(
  pages: AsyncIterable<WalkPage>,
  countsOf: (page: WalkPage) => Promise<JobCounts>,
): Promise<JobCounts> {
  let counts: JobCounts = { records: 0, moved: 0, taken: 0, done: 0 }
  for await (const page of pages) counts = sumOf(counts, { records: page.records, ...(await countsOf(page)) })
  return counts
}
