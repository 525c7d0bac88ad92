import type { LogTopic, TelemetryLog } from '../log/port.ts'
import type { Instant, LogRecord } from '../telemetry.ts'
import { reservedElements } from './reservation.ts'
import { ERAS, idOfStamp, SLOTS, STAMP_STEP } from './scheme.ts'

/** Topics whose records are stamped. */
const STAMPED: readonly LogTopic[] = ['telemetry.raw']

/** Records that are read at once: beyond those that may have overtaken each other on their way into the log. */
const WINDOW = 20_000
const NANOSECONDS_PER_MS = 1_000_000

type Reader = Pick<TelemetryLog, 'offsets' | 'read'>

/**
 * How far the stamps of a slot reach in the log, for each era: of its records at or after `from`, those of the latest
 * ones, which are looked for from the end of each partition. Nearly always there is none, and nothing is read.
 */
export async function endsInLog(log: Reader, slot: number, from: Instant): Promise<readonly (Instant | undefined)[]> {
  const ends: (Instant | undefined)[] = Array.from({ length: ERAS })
  const note = (record: LogRecord): boolean => {
    const id = idOfStamp(record)
    if (record.scheme === undefined || id % SLOTS !== slot) return false
    const end = endOf(record)
    const known = ends[Math.floor(id / SLOTS)]
    if (known === undefined || end.ms > known.ms || (end.ms === known.ms && end.ns > known.ns)) {
      ends[Math.floor(id / SLOTS)] = end
    }
    return true
  }
  for (const topic of STAMPED) {
    for (const { partition, end } of await log.offsets(topic)) {
      const start = await firstOffset(log, topic, partition, from)
      if (start !== undefined) await searchBack(log, { topic, partition, start, end }, note)
    }
  }
  return ends
}

/** The first moment after all that the stamp of a record has reserved. */
function endOf({ ms, ns, value }: LogRecord): Instant {
  const total = ns + reservedElements(value) * STAMP_STEP
  return { ms: ms + Math.floor(total / NANOSECONDS_PER_MS), ns: total % NANOSECONDS_PER_MS }
}

async function firstOffset(
  log: Reader,
  topic: LogTopic,
  partition: number,
  time: Instant,
): Promise<number | undefined> {
  const options = {
    topic,
    partition,
    from: { time },
    maxRecords: 1,
    follow: false,
    signal: new AbortController().signal,
  }
  for await (const batch of log.read(options)) return batch.firstOffset
  return undefined
}

interface Range {
  readonly topic: LogTopic
  readonly partition: number
  readonly start: number
  readonly end: number
}

/** Gives windows of records to `note`, the last ones first, until one of them has a record that it wanted. */
async function searchBack(log: Reader, range: Range, note: (record: LogRecord) => boolean): Promise<void> {
  const { topic, partition, start } = range
  let isFound = false
  for (let { end } = range; end > start && !isFound; end -= WINDOW) {
    const low = Math.max(start, end - WINDOW)
    const options = { from: { offset: low }, maxRecords: WINDOW, follow: false, signal: new AbortController().signal }
    for await (const { firstOffset: first, records } of log.read({ topic, partition, ...options })) {
      for (const [i, record] of records.entries()) if (first + i < end && note(record)) isFound = true
      if (first + records.length >= end) break
    }
  }
}
