import type { LogTopic, TelemetryLog } from '../log/port.ts'
import type { Instant, LogRecord } from '../telemetry.ts'
import { reservedElements, reservedLines } from './reservation.ts'
import { LINES_HEADER } from '../record.ts'
import { ERAS, idOfStamp, SLOTS, STAMP_STEP } from './scheme.ts'

/** Topics whose records are stamped. */
const STAMPED: readonly LogTopic[] = ['telemetry.raw']

/** Records that are read at once: beyond those that may have overtaken each other on their way into the log. */
const WINDOW = 20_000
/**
 * Records and bytes that are read at most: seconds at a start. So many lie ahead of the own clock only where the clock of
 * another process was far ahead, and of these hardly any can be of this slot.
 */
const MAX_RECORDS = 400_000
const MAX_BYTES = 256 * 1024 * 1024
const NANOSECONDS_PER_MS = 1_000_000

type Reader = Pick<TelemetryLog, 'offsets' | 'read'>

/** What the log has of a slot. */
export interface Found {
  /** For each era the first moment that none of the stamps found has reserved. */
  readonly ends: readonly (Instant | undefined)[]
  /** Not all was looked at that may be of the slot. */
  readonly isInDoubt: boolean
}

/**
 * How far the stamps of a slot reach in the log, for each era: of its records at or after `from`, those of the latest
 * ones, which are looked for from the end of each partition. Nearly always there is none, and nothing is read.
 */
export async function endsInLog(log: Reader, slot: number, from: Instant): Promise<Found> {
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
  let ranges: Range[] = []
  for (const topic of STAMPED) {
    for (const { partition, end } of await log.offsets(topic)) {
      const start = await firstOffset(log, topic, partition, from)
      if (start !== undefined) ranges.push({ topic, partition, start, end })
    }
  }
  const left = { records: MAX_RECORDS, bytes: MAX_BYTES }
  // A window of each partition in turn: none of them uses up what there is for all.
  while (ranges.length > 0) {
    const further: Range[] = []
    for (const range of ranges) {
      if (left.records <= 0 || left.bytes <= 0) return { ends, isInDoubt: true }
      const rest = await searchLast(log, range, note, left)
      if (rest !== undefined) further.push(rest)
    }
    ranges = further
  }
  return { ends, isInDoubt: false }
}

/** The first moment after all that the stamp of a record has reserved. */
function endOf({ ms, ns, value, headers }: LogRecord): Instant {
  const elements = headers?.[LINES_HEADER] === undefined ? reservedElements(value) : reservedLines(value)
  // Those of before reserved for lines as for all else.
  const total = ns + Math.max(elements, reservedElements(value)) * STAMP_STEP
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

/**
 * Gives the last window of a range to `note`; what is left to be searched, undefined when there was a record that it
 * wanted, or nothing is left. A window that is too large in bytes ends early, and all of it is left.
 */
async function searchLast(
  log: Reader,
  range: Range,
  note: (record: LogRecord) => boolean,
  left: { records: number; bytes: number },
): Promise<Range | undefined> {
  const { topic, partition, start, end } = range
  const low = Math.max(start, end - WINDOW)
  const options = { from: { offset: low }, maxRecords: WINDOW, follow: false, signal: new AbortController().signal }
  let isFound = false
  for await (const { firstOffset: first, records } of log.read({ topic, partition, ...options })) {
    for (const [i, record] of records.entries()) {
      if (first + i >= end) break
      left.records -= 1
      left.bytes -= record.value.length
      if (note(record)) isFound = true
    }
    if (first + records.length >= end) break
    if (left.bytes <= 0) return range
  }
  return isFound || low === start ? undefined : { ...range, end: low }
}
