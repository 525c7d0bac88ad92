import { deadLetterToRecord, KEPT_PAYLOAD_BYTES } from '../../shared/dead-letter.ts'
import { readingRanges } from '../../shared/decoders/json.ts'
import { JsonScanner } from '../../shared/decoders/json-scanner.ts'
import { RecordsTooLarge, type TelemetryLog } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { DEFAULT_STREAM, formatTelemetryTopic, parseDeviceKey } from '../../shared/topics.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Refusal, Slice } from './slice.ts'
import type { Retry } from './retry.ts'

/** Dead letters per append: enough to spread one fsync, little enough to keep what is copied at once small. */
const APPEND_LETTERS = 1000

/**
 * Writes what could not be stored to the dead-letter topic. A letter is told from others by its source: partition,
 * offset and element. Records that are read again without a restart (a new consumer, a repeated batch) are not written
 * and counted again; after a restart they are, with the same source, and readers show them once.
 */
export class DeadLetters {
  readonly #log: Pick<TelemetryLog, 'append'>
  readonly #retry: Retry
  readonly #metrics: IngestMetrics
  /** Per log and partition: offset behind the last record whose letters are durable. Bound: those of the logs met. */
  readonly #written = new Map<string, number>()

  constructor({ log, retry, metrics }: { log: Pick<TelemetryLog, 'append'>; retry: Retry; metrics: IngestMetrics }) {
    this.#log = log
    this.#retry = retry
    this.#metrics = metrics
  }

  /** Resolves when the refusals of the slices, which are all there are of these records, are durable. */
  async append(slices: readonly Slice[], refusals: readonly Refusal[]): Promise<void> {
    const fresh = refusals.filter(
      ({ slice, record }) => slice.firstOffset + record >= (this.#written.get(placeOf(slice)) ?? 0),
    )
    for (let from = 0; from < fresh.length; from += APPEND_LETTERS) {
      const records = toRecords(fresh.slice(from, from + APPEND_LETTERS))
      await this.#retry.run('log', () => this.#appendOrCut(records))
    }
    for (const { code } of fresh) this.#metrics.rejects.inc({ code })
    for (const slice of slices) {
      const behind = slice.firstOffset + slice.records.length
      const place = placeOf(slice)
      if (behind > (this.#written.get(place) ?? 0)) this.#written.set(place, behind)
    }
  }

  /** A letter that is too large for the log as it is now set up keeps the beginning of its payload. */
  async #appendOrCut(records: readonly LogRecord[]): Promise<void> {
    try {
      await this.#log.append('telemetry.dead-letter', records)
    } catch (error) {
      if (!(error instanceof RecordsTooLarge)) throw error
      const cut = records.filter((record) => error.records.has(record)).map(beginningOf)
      await this.#log.append('telemetry.dead-letter', cut)
    }
  }
}

function placeOf({ progress: { log, partition } }: Slice): string {
  return `${log}/${partition}`
}

function beginningOf(record: LogRecord): LogRecord {
  return { ...record, value: record.value.subarray(0, KEPT_PAYLOAD_BYTES) }
}

/**
 * A letter keeps the reading's own bytes: one bad element of an array without its neighbours, which are stored; the
 * whole payload when it could not be read.
 */
function toRecords(refusals: readonly Refusal[]): LogRecord[] {
  const scanner = new JsonScanner()
  const ranges = new Map<LogRecord, { start: number; end: number }[]>()
  return refusals.map((refusal) => {
    const { slice, record: index, element, start, end } = refusal
    const record = slice.records[index]
    if (record === undefined) throw new RangeError(`a run of ${slice.records.length} records has no record ${index}`)
    if (start !== undefined && end !== undefined) return toRecord(refusal, record, { start, end })
    // Once per payload: an array may be refused element by element.
    const known = ranges.get(record) ?? readingRanges(record.value, scanner)
    ranges.set(record, known)
    return toRecord(refusal, record, known[element] ?? { start: 0, end: record.value.length })
  })
}

function toRecord(refusal: Refusal, record: LogRecord, range: { start: number; end: number }): LogRecord {
  const { slice, record: index, element, stage, code, detail } = refusal
  return deadLetterToRecord({
    stage,
    code,
    detail,
    who: record.key,
    topic: topicOf(record),
    key: record.key,
    payload: record.value.subarray(range.start, range.end),
    ms: record.ms,
    ns: record.ns,
    scheme: record.scheme,
    source: { partition: slice.progress.partition, offset: slice.firstOffset + index, element },
    firstFailedMs: Date.now(),
    attempts: 1,
  })
}

function topicOf(record: LogRecord): string | undefined {
  const topic = record.headers?.['topic']
  const names = parseDeviceKey(record.key)
  if (topic !== undefined || names === undefined) return topic
  return formatTelemetryTopic({ ...names, stream: DEFAULT_STREAM })
}
