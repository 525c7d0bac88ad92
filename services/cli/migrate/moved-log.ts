import { createHash, type Hash } from 'node:crypto'
import type { LogBatch, LogTopic, TelemetryLog } from '../../../shared/log/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { compareText } from '../../../shared/text-order.ts'
import type { Comparison, Differences, Step } from './migration-ports.ts'
import type { Progress, TopicProgress } from './progress.ts'
import { persist } from './retry.ts'

/** Records of one append, which are durable together before that is noted. */
const RECORDS = 1_000

/** What of a topic moves: its first record in each partition of the source. */
export interface MovingTopic {
  readonly topic: LogTopic
  readonly what: string
  readonly from: readonly number[]
  /** As the record is in the target. */
  readonly moved: (record: LogRecord) => LogRecord
}

/** Appends the records to the target's log, in order; after a crash it goes on behind the last one that is there. */
export async function moveTopic(step: Step, progress: Progress, moving: MovingTopic): Promise<void> {
  const { source, target, signal, onProgress } = step
  const state = await topicProgress(step, progress, moving)
  let appended = 0
  const tail = new Tail(target.log, moving.topic, state.marks, signal)
  for (const partition of moving.from.keys()) {
    for await (const batch of recordsOf(source.log, moving.topic, partition, state.next[partition] ?? 0, signal)) {
      const records = await tail.missing(batch.records.map(moving.moved))
      const append = () => target.log.append(moving.topic, records)
      const first = records.length === 0 ? new Map<number, number>() : await persist(append, signal)
      state.next[partition] = batch.firstOffset + batch.records.length
      noteEnds(target.log, state, records, first)
      progress.save()
      appended += records.length
      onProgress(() => `${moving.what}: ${appended} records copied`)
    }
  }
}

async function topicProgress(
  { target, signal }: Step,
  progress: Progress,
  { topic, from }: MovingTopic,
): Promise<TopicProgress> {
  const { topics } = progress.state
  const known = topics[topic]
  if (known !== undefined) {
    // The source has run since: what it stored itself moves as points.
    known.from = known.from.map((offset, partition) => Math.max(offset, from[partition] ?? 0))
    known.next = known.next.map((offset, partition) => Math.max(offset, from[partition] ?? 0))
    return known
  }
  const offsets = await persist(() => target.log.offsets(topic), signal)
  const ends = offsets.map(({ end }) => end)
  const state = { from: [...from], next: [...from], begin: ends, marks: [...ends] }
  topics[topic] = state
  progress.save()
  return state
}

/** Where the target ends behind an append. */
function noteEnds(
  log: TelemetryLog,
  { marks }: TopicProgress,
  records: readonly LogRecord[],
  first: ReadonlyMap<number, number>,
): void {
  const counts = new Map<number, number>()
  for (const { key } of records) {
    const partition = log.partitionOf(key)
    counts.set(partition, (counts.get(partition) ?? 0) + 1)
  }
  for (const [partition, offset] of first) marks[partition] = offset + (counts.get(partition) ?? 0)
}

/** Reads the moved records back from the target, in their order there, and compares them with the source's. */
export async function compareTopic(
  { source, target, signal, onProgress }: Step,
  moving: MovingTopic,
  { from, begin }: Pick<TopicProgress, 'from' | 'begin'>,
  differences: Differences,
): Promise<Comparison> {
  const followers = begin.map((offset, partition) => new Follower(target.log, moving.topic, partition, offset, signal))
  const hashes = { source: createHash('sha256'), target: createHash('sha256') }
  const counts = { source: 0, target: 0 }
  for (const partition of from.keys()) {
    for await (const batch of recordsOf(source.log, moving.topic, partition, from[partition] ?? 0, signal)) {
      for (const [index, record] of batch.records.entries()) {
        const expected = moving.moved(record)
        const found = await followers[target.log.partitionOf(expected.key)]?.find(expected)
        counts.source += 1
        addRecord(hashes.source, expected)
        if (found === undefined) {
          differences.add(
            `${moving.what}: record ${partition}/${batch.firstOffset + index} of ${expected.key} is missing`,
          )
          continue
        }
        counts.target += 1
        addRecord(hashes.target, found)
      }
      onProgress(() => `${moving.what}: ${counts.source} records compared`)
    }
  }
  const total = (side: 'source' | 'target') => ({ count: counts[side], checksum: hashes[side].digest('base64url') })
  return { what: moving.what, source: total('source'), target: total('target') }
}

function recordsOf(
  log: TelemetryLog,
  topic: LogTopic,
  partition: number,
  offset: number,
  signal: AbortSignal,
): AsyncIterable<LogBatch> {
  return log.read({ topic, partition, from: { offset }, maxRecords: RECORDS, follow: false, signal })
}

/**
 * What lies behind the last append that was noted: a run that was killed between an append and its note left it there,
 * whole or, as an append is not one over several partitions, in part.
 */
class Tail {
  readonly #log: TelemetryLog
  readonly #followers: readonly Follower[]
  #isOver = false

  constructor(log: TelemetryLog, topic: LogTopic, marks: readonly number[], signal: AbortSignal) {
    this.#log = log
    this.#followers = marks.map((offset, partition) => new Follower(log, topic, partition, offset, signal))
  }

  /** The records that are not there yet. */
  async missing(records: readonly LogRecord[]): Promise<readonly LogRecord[]> {
    if (this.#isOver) return records
    const missing: LogRecord[] = []
    for (const record of records) {
      const found = await this.#followers[this.#log.partitionOf(record.key)]?.find(record)
      if (found === undefined) missing.push(record)
    }
    // Appends are in order: behind one that went in nothing of a later one can be there.
    this.#isOver = missing.length > 0
    return missing
  }
}

/** Finds records in a partition in their order, and passes over others. */
class Follower {
  readonly #batches: AsyncIterator<LogBatch>
  #records: readonly LogRecord[] = []
  #at = 0
  #isAtEnd = false

  constructor(log: TelemetryLog, topic: LogTopic, partition: number, offset: number, signal: AbortSignal) {
    this.#batches = recordsOf(log, topic, partition, offset, signal)[Symbol.asyncIterator]()
  }

  /** The record, when it lies behind the last one that was found. */
  async find(record: LogRecord): Promise<LogRecord | undefined> {
    while (!this.#isAtEnd) {
      for (let one = this.#records[this.#at++]; one !== undefined; one = this.#records[this.#at++]) {
        if (isSameRecord(one, record)) return one
      }
      const next: IteratorResult<LogBatch, unknown> = await this.#batches.next()
      this.#isAtEnd = next.done === true
      this.#records = next.done === true ? [] : next.value.records
      this.#at = 0
    }
    return undefined
  }
}

function isSameRecord(a: LogRecord, b: LogRecord): boolean {
  return (
    a.ms === b.ms &&
    a.ns === b.ns &&
    a.scheme === b.scheme &&
    a.key === b.key &&
    sameHeaders(a, b) &&
    Buffer.compare(a.value, b.value) === 0
  )
}

function sameHeaders({ headers: a }: LogRecord, { headers: b }: LogRecord): boolean {
  return headersText(a) === headersText(b)
}

function headersText(headers: LogRecord['headers']): string {
  return JSON.stringify(Object.entries(headers ?? {}).sort(([a], [b]) => compareText(a, b)))
}

function addRecord(hash: Hash, { key, ms, ns, scheme, headers, value }: LogRecord): void {
  hash.update(`${JSON.stringify([key, ms, ns, scheme, value.byteLength])}${headersText(headers)}\n`).update(value)
}
