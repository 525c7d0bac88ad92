import type { Asked, Failure, Said, ThreadClient } from '../../process/thread-client.ts'
import type { Instant } from '../../telemetry.ts'
import type { LogTopic, PartitionLag, Position } from '../port.ts'

/** What the main thread and the thread that owns the database say to each other. */

export interface Retention {
  /** Records older than this are removed; undefined: never for their age. */
  readonly ageMs: number | undefined
  /** Upper bound of a topic's files; undefined: none. */
  readonly bytes: number | undefined
}

export interface ThreadOptions {
  readonly folder: string
  readonly partitions: number | undefined
  readonly retention: Readonly<Record<LogTopic, Retention>>
}

/** A packed run of records of one partition (see record-format.ts). Its buffer travels, it is never copied. */
export interface PackedRow {
  readonly partition: number
  readonly records: number
  /** Newest receive time in the row. */
  readonly ms: number
  readonly ns: number
  readonly packed: Uint8Array<ArrayBuffer>
}

export interface StoredRow {
  readonly firstOffset: number
  readonly records: number
  readonly packed: Uint8Array<ArrayBuffer>
}

/** First kept and next offset of a partition, and its newest receive time (`ms` -1: none yet). */
export interface PartitionState {
  readonly start: number
  readonly end: number
  readonly ms: number
  readonly ns: number
}

/** The thread's answers, by question. It answers in the order asked. */
export interface Calls {
  /** One transaction: all rows or none. `rows` come back in the same order, with their offsets and buffers. */
  append: { ask: { topic: LogTopic; rows: readonly PackedRow[] }; answer: { rows: StoredRow[]; diskBytes: number } }
  /** `from` is above the asked offset when what lies between is gone. No rows: nothing behind `from` yet. */
  read: {
    ask: { topic: LogTopic; partition: number; offset: number; records: number }
    answer: { from: number; rows: StoredRow[] }
  }
  /** Offset of the first record at or after a receive time; the end when there is none. */
  seek: { ask: { topic: LogTopic; partition: number; time: Instant }; answer: number }
  /** Makes the group known, which holds back retention from then on. */
  register: { ask: { topic: LogTopic; group: string }; answer: Registered }
  commit: { ask: { topic: LogTopic; group: string; positions: readonly Position[] }; answer: undefined }
  lag: { ask: { topic: LogTopic; group: string }; answer: PartitionLag[] }
  /**
   * Copies what groups have read and begins the copy of the records (`positions`), or completes that (`records`). Rows are
   * copied as whole files that nothing is written to any more, by a second name where the file system has one.
   */
  snapshot: { ask: { folder: string; what: 'positions' | 'records' }; answer: undefined }
  close: { ask: undefined; answer: undefined }
}

export type Question = keyof Calls
export type ToThread = Asked<Calls>

export interface Opened {
  /** See `LogBatch.log`. */
  readonly log: string
  readonly topics: Readonly<Record<LogTopic, TopicSummary>>
}

/** Something failed in the thread that it tries again by itself, retention removed a file, or something is damaged. */
export type LogEvent = { readonly kind: 'trouble'; readonly failure: Failure } | TrimmedEvent | DamageEvent

export type FromThread = Said<Opened, LogEvent>
export type LogThread = ThreadClient<Calls, Opened, LogEvent>

export interface Registered {
  /** By partition. */
  readonly committed: readonly number[]
  /** By partition, see `Position.note`. */
  readonly notes: readonly (string | undefined)[]
  /** The group was not known. */
  readonly isNew: boolean
}

export interface TopicSummary {
  readonly partitions: readonly PartitionState[]
  readonly diskBytes: number
}

/** Something stored is damaged; it is kept, and passed over. */
export interface DamageEvent {
  readonly kind: 'damage'
  readonly topic: LogTopic
  readonly detail: string
}

/** Retention removed a file. */
export interface TrimmedEvent {
  readonly kind: 'trimmed'
  readonly topic: LogTopic
  readonly file: string
  readonly starts: readonly number[]
  readonly diskBytes: number
}
