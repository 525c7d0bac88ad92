import {
  deadLetterToRecord,
  KEPT_PAYLOAD_BYTES,
  type DeadLetter,
  type DeadLetterStage,
} from '../../shared/dead-letter.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import { RecordsTooLarge, type TelemetryLog } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { DEFAULT_STREAM, formatTelemetryTopic, parseDeviceKey } from '../../shared/topics.ts'
import { Daily } from './daily.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Overwrite } from './recent-values.ts'
import type { LateFault, Refusal, Slice } from './slice.ts'
import type { Retry } from './retry.ts'

/** Dead letters, and bytes of their payloads, per append: enough to spread one fsync, little enough to copy at once. */
const APPEND_LETTERS = 1000
const APPEND_BYTES = 4 * 1024 * 1024

/**
 * Writes what could not be stored to the dead-letter topic: for each record at most one letter, which is told from others
 * by its source: log, partition and offset. Records that are read again without a restart (a new consumer, a repeated batch) are not
 * written and counted again; after a restart they are, with the same source, and readers show them once.
 */
export class DeadLetters {
  readonly #log: Pick<TelemetryLog, 'append'>
  readonly #retry: Retry
  readonly #metrics: IngestMetrics
  /** Per log and partition: offset behind the last record whose letters are durable. Bound: those of the logs met. */
  readonly #written = new Map<string, number>()
  readonly #daily = new Daily()

  constructor({ log, retry, metrics }: { log: Pick<TelemetryLog, 'append'>; retry: Retry; metrics: IngestMetrics }) {
    this.#log = log
    this.#retry = retry
    this.#metrics = metrics
  }

  /**
   * Resolves when the refusals of the slices, which are all there are of these records, are durable, and so are doubts
   * about what is stored; what comes with every message is told once a day or hour, see {@link Daily}.
   */
  async append(
    slices: readonly Slice[],
    refusals: readonly Refusal[],
    doubts: readonly LateFault[] = [],
    overwrites: readonly Overwrite[] = [],
  ): Promise<void> {
    const from = (slice: Slice) => this.#written.get(placeOf(slice)) ?? 0
    const fresh = refusals.filter(({ slice, record }) => slice.firstOffset + record >= from(slice))
    const told = this.#daily.choose(slices, fresh, { doubts, overwrites }, from)
    for (const part of portions(told.refusals.map(toLetter)))
      await this.#retry.run('log', () => this.#appendOrCut(part))
    told.remember()
    this.#metrics.letters.inc(told.refusals.length)
    for (const { faults } of fresh) {
      for (const [code, count] of faults.counts) this.#metrics.faults.inc({ code }, count)
    }
    for (const slice of slices) {
      const behind = slice.firstOffset + slice.records.length
      const place = placeOf(slice)
      if (behind > (this.#written.get(place) ?? 0)) this.#written.set(place, behind)
    }
  }

  /** A letter that is too large for the log as it is now set up keeps the beginning of its payload, and says so. */
  async #appendOrCut(letters: readonly DeadLetter[]): Promise<void> {
    const records = letters.map(deadLetterToRecord)
    try {
      await this.#log.append('telemetry.dead-letter', records)
    } catch (error) {
      if (!(error instanceof RecordsTooLarge)) throw error
      const tooLarge = records.flatMap((record, i) => (error.records.has(record) ? (letters[i] ?? []) : []))
      const cut = tooLarge.map(beginningOf)
      await this.#log.append('telemetry.dead-letter', cut.map(deadLetterToRecord))
      this.#metrics.cutLetters.inc(cut.length)
    }
  }
}

function placeOf({ progress: { log, partition } }: Slice): string {
  return `${log}/${partition}`
}

function beginningOf(letter: DeadLetter): DeadLetter {
  return { ...letter, payload: letter.payload.subarray(0, KEPT_PAYLOAD_BYTES), isCut: true }
}

function* portions(letters: readonly DeadLetter[]): Generator<DeadLetter[]> {
  let portion: DeadLetter[] = []
  let bytes = 0
  for (const letter of letters) {
    portion.push(letter)
    bytes += letter.payload.byteLength
    if (portion.length < APPEND_LETTERS && bytes < APPEND_BYTES) continue
    yield portion
    portion = []
    bytes = 0
  }
  if (portion.length > 0) yield portion
}

/** A letter keeps the whole record, as it stands in the log: its good fields too, which are stored. */
function toLetter({ slice, record: index, faults, isWarning }: Refusal): DeadLetter {
  const record = slice.records[index]
  const [first] = faults.first
  if (record === undefined || first === undefined) {
    throw new RangeError(`a run of ${slice.records.length} records has no fault of a record ${index}`)
  }
  const { key, value, ms, ns, scheme, headers } = record
  return {
    ...(isWarning === true ? { kind: 'warning' } : {}),
    stage: stageOf(first.code, isWarning === true || slice.decoded.faults.has(index)),
    code: first.code,
    detail: first.detail,
    faults,
    who: key,
    topic: topicOf(record),
    ...{ key, payload: value, headers, ms, ns, scheme },
    log: slice.progress.log,
    source: { partition: slice.progress.partition, offset: slice.firstOffset + index },
    firstFailedMs: Date.now(),
    attempts: 1,
  }
}

/** Warnings that are found when a point is stored. */
const OF_STORE: ReadonlySet<ErrorCode> = new Set(['overwritten', 'value_marked', 'field_missing'])

function stageOf(code: ErrorCode, isOfDecoder: boolean): DeadLetterStage {
  return isOfDecoder && !OF_STORE.has(code) ? 'decode' : 'store'
}

function topicOf(record: LogRecord): string | undefined {
  const topic = record.headers?.['topic']
  const names = parseDeviceKey(record.key)
  if (topic !== undefined || names === undefined) return topic
  return formatTelemetryTopic({ ...names, stream: DEFAULT_STREAM })
}
