import { SluiceError } from '../errors.ts'
import type { Instant, LogRecord } from '../telemetry.ts'

/** The topics of the log. The broker writes the first, the worker and the broker write the second. */
export type LogTopic = 'telemetry.raw' | 'telemetry.dead-letter'

/** A run of records of one partition, in offset order; record i has offset `firstOffset + i`. */
export interface LogBatch {
  readonly topic: LogTopic
  /** Which log these offsets are of, at most 64 characters: one that is made anew has another name. */
  readonly log: string
  readonly partition: number
  readonly firstOffset: number
  readonly records: readonly LogRecord[]
}

export interface Position {
  readonly partition: number
  /** The next offset to read: last processed + 1. */
  readonly offset: number
  /** Receive time of the last record before it, in ms, where it is known: by it a later gap can be dated. */
  readonly ms?: number | undefined
  /**
   * What the group keeps with the position, in the same step: it comes back with the next assignment. At most
   * {@link MAX_NOTE} characters of ASCII.
   */
  readonly note?: string | undefined
}

/** Kafka keeps 4 KiB with a position, of which the adapter takes some itself. */
export const MAX_NOTE = 3_000

export interface PartitionOffsets {
  readonly partition: number
  /** First offset still kept. */
  readonly start: number
  /** Offset the next record will get. */
  readonly end: number
  /** Receive time of the newest record ever appended; undefined while there is none. */
  readonly newest: Instant | undefined
}

/** The consumer group of the ingest workers, whose positions say what is stored. */
export const INGEST_GROUP = 'ingest-worker'

/** One worker of the group that lives, and the partitions that are its own. */
export interface GroupOwner {
  readonly id: string
  /** Where it connects from; undefined for one in this process. */
  readonly host: string | undefined
  readonly partitions: readonly number[]
  /** What it reads, see features.ts; nothing of a version that does not say. */
  readonly features: readonly string[]
}

/** From this part of the retention on people are warned. */
export const RETENTION_NEAR = 0.5

/** How near retention is to a record that waits. */
export interface Horizon {
  /** Until the record is removed, at the earliest. */
  readonly seconds: number
  /** How much of the retention is used up: 1 when the record may be gone. */
  readonly used: number
}

export interface PartitionLag {
  readonly partition: number
  readonly committed: number
  readonly end: number
  /** Records that are there and not committed: what retention removed before it was read is a gap, and no lag. */
  readonly records: number
  /** Age of the oldest record that is not committed, by its receive time; 0 when there is none. */
  readonly seconds: number
  /** When retention removes that record; undefined where it never does, where none waits, or where it is not known. */
  readonly horizon?: Horizon | undefined
}

/** Retention removed the records, they are damaged, or the log was deleted, cut, or restored from an older copy. */
export type GapReason = 'retention' | 'damage' | 'replaced'

/** Records from offset `from` on were never read; reading continues at `next`, lower than `from` in a log made anew. */
export interface LogGap {
  readonly reason: GapReason
  readonly partition: number
  /** Which log they were in. */
  readonly log: string
  readonly from: number
  /** How many; of a log that was replaced as many as are known of. */
  readonly lost: number
  readonly next: number
  /** Receive times, in ms, of the last record before the gap and of the first one behind it, where they are known. */
  readonly beforeMs: number | undefined
  readonly behindMs: number | undefined
}

/** Where a partition stands when it becomes ours. Offsets of two logs do not compare. */
export interface Assignment {
  readonly partition: number
  readonly log: string
  /** Offset that the next record gets. */
  readonly end: number
  /** The group has no position in this log yet: it is a new group, or a log that was made anew. */
  readonly isNew: boolean
  /** Of the position at which reading begins; undefined where it has none, or is not of this log. */
  readonly note?: string | undefined
}

export interface ConsumeOptions {
  readonly topic: LogTopic
  readonly group: string
  /** Upper bound of records per batch. */
  readonly maxRecords: number
  /**
   * Called with the batches of a partition one after the other, never two at a time; batches of different partitions
   * may be in progress together. The next one of a partition is read only after the returned promise settled. Reading
   * starts at the committed offset, or at the start of the partition for a new group.
   * `signal` is aborted when the partition is taken away or the consumer closes: stop, and do not commit.
   * A rejection ends the consumer; it is given to `onError`.
   */
  readonly onBatch: (batch: LogBatch, signal: AbortSignal) => Promise<void>
  /** The partition is ours from now on; called before its first batch and its first gap. */
  readonly onAssigned?: (assignment: Assignment) => void
  /** The partition is no longer ours (a rebalance, or closing): forget what was kept for it. */
  readonly onRevoked?: (partition: number) => void
  /** The next record to read is not in the log. It is for the consumer to commit `next`, when all before it is done. */
  readonly onGap?: (gap: LogGap) => void
  /**
   * A partition cannot be read on: what comes next in it is damaged. It is tried again, without end; the others go on.
   * Undefined when it goes on, too.
   */
  readonly onStuck?: (partition: number, error: SluiceError | undefined) => void
  /** The consumer stopped by itself and will not resume. */
  readonly onError: (error: SluiceError) => void
}

export interface LogConsumer {
  /** Resolves when the positions are durable. A position below the committed one is ignored. */
  commit(positions: readonly Position[]): Promise<void>
  /** Aborts what is in progress, waits for it, and leaves the group. Uncommitted records are read again by the next. */
  close(): Promise<void>
}

export interface ReadOptions {
  readonly topic: LogTopic
  readonly partition: number
  /** Where to begin: an offset (clamped to what is kept), a receive time (first record at or after it), or the end. */
  readonly from: { readonly offset: number } | { readonly time: Instant } | 'end'
  /** Upper bound of records per batch. */
  readonly maxRecords: number
  /** False: ends at the end as it was when reading began. True: waits there for more until `signal` is aborted. */
  readonly follow: boolean
  readonly signal: AbortSignal
}

/** Whether an acknowledged record survives what the promise says: the loss of power, or of one broker of several. */
export interface Durability {
  readonly ok: boolean
  /** Why, for a person. */
  readonly detail: string
}

/**
 * What an append rejects with when the log will never take some of its records, because they are too large for it: all
 * others of the call are durable, in their order.
 */
export class RecordsTooLarge extends SluiceError {
  readonly records: ReadonlySet<LogRecord>

  constructor(records: ReadonlySet<LogRecord>, detail: string) {
    super('payload_too_large', detail)
    this.records = records
  }
}

/** A change of the number of partitions that is under way; see `PartitioningState`. */
export interface Repartition {
  readonly state: 'asked' | 'pausing' | 'switched'
  readonly from: number
  readonly to: number
  /** Begin of the state, in ms since 1970. */
  readonly sinceMs: number
}

/**
 * The durable, partitioned log. Errors: `log_full`, `disk_full`, `log_unavailable`, `closed`; reading also `log_corrupt`,
 * and `closed` when the log closes before a read is at its end.
 * Every method may be called concurrently.
 */
export interface TelemetryLog {
  /** Of telemetry. It grows when the processes of a log agree on more; see `shared/log/kafka/partitioning.ts`. */
  readonly partitions: number

  /** Undefined where none is under way, as far as this process knows, and in logs that never have one. */
  readonly repartition?: Repartition | undefined

  /** The partition of a key of telemetry, the same on every node, as long as the number of partitions is. */
  partitionOf(key: string): number

  /** All partitions in which records of the key may wait for being stored. */
  partitionsOf(key: string): readonly number[]

  /** All partitions in which records of the key lie that are not older than the last change but one; the oldest first. */
  placesOf(key: string): readonly number[]

  /**
   * Appends in the given order and resolves when every record is durable. All or nothing in the embedded log; where an
   * adapter cannot be atomic over partitions it resends until all are durable or rejects, and records may then repeat.
   * Records of one partition of earlier calls lie before those of later ones. Returns each partition's first offset.
   * Rejects with {@link RecordsTooLarge} when records do not fit into the log even alone.
   */
  append(topic: LogTopic, records: readonly LogRecord[]): Promise<ReadonlyMap<number, number>>

  consume(options: ConsumeOptions): Promise<LogConsumer>

  /** Reads without a group; commits nothing. */
  read(options: ReadOptions): AsyncIterable<LogBatch>

  offsets(topic: LogTopic): Promise<readonly PartitionOffsets[]>

  lag(topic: LogTopic, group: string): Promise<readonly PartitionLag[]>

  /** What an acknowledgement is worth as the log is set up now. Not ok does not stop appends: it is for people to see. */
  durability(): Promise<Durability>

  close(): Promise<void>
}
