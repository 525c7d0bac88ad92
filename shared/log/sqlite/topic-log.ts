import { SluiceError } from '../../errors.ts'
import { isSyncError } from '../../storage/sync-error.ts'
import { compareInstants, type Instant } from '../../telemetry.ts'
import type { LogTopic, PartitionLag } from '../port.ts'
import { BatchCursor, seal } from '../record-format.ts'
import type { Groups } from './groups.ts'
import type { Calls, PackedRow, Registered, Retention, StoredRow, TopicSummary } from './messages.ts'
import { copyFiles } from './snapshot.ts'
import { type Mark, PAGE_BYTES } from './segment-file.ts'
import { SegmentFiles } from './segment-files.ts'
import type { Segment } from './segment.ts'
import { storageError } from './storage-error.ts'
import { TopicReader } from './topic-reader.ts'

/** Size of a file when nothing bounds the topic's bytes; with a bound, an eighth of it, because files go whole. */
const SEGMENT_BYTES = 128 * 1024 * 1024
const SEGMENTS_PER_BOUND = 8

export interface TopicOptions {
  readonly topic: LogTopic
  readonly folder: string
  readonly partitions: number
  readonly retention: Retention
  readonly groups: Groups
  readonly onTrimmed: (file: string, starts: readonly number[], diskBytes: number) => void
  readonly onTrouble: (error: SluiceError) => void
  /** Something that was stored is damaged; it is kept, and passed over. */
  readonly onDamage: (detail: string) => void
}

/** One topic in the thread that owns it: transactions, reads, retention. */
export class TopicLog {
  readonly #options: TopicOptions
  readonly #segmentBytes: number
  readonly #files: SegmentFiles
  readonly #reader: TopicReader

  /** Errors: those of {@link storageError}, `data_newer`, `setting_invalid`. */
  constructor(options: TopicOptions) {
    const { topic, folder, groups, onTrouble } = options
    this.#options = options
    this.#segmentBytes = segmentBytesFor(options)
    const what = `opening ${topic} in ${folder}`
    try {
      this.#files = new SegmentFiles({
        ...options,
        segmentBytes: this.#segmentBytes,
        floor: (partition) => groups.furthest(topic, partition),
        onTrouble: (error) => onTrouble(storageError(error, folder, what)),
      })
      this.#reader = new TopicReader({ ...options, files: this.#files })
    } catch (error) {
      throw storageError(error, folder, what)
    }
  }

  summary(): TopicSummary {
    const starts = this.#files.starts()
    const partitions = this.#files.end.map(({ offset, ms, ns }, p) => ({ start: starts[p] ?? 0, end: offset, ms, ns }))
    return { partitions, diskBytes: this.#files.diskBytes() }
  }

  diskBytes(): number {
    return this.#files.diskBytes()
  }

  /**
   * All rows in one transaction, on the disk on return. After an error that leaves open what is on the disk the file is
   * ended as it is, and the rows go into a new one. Errors: `log_full`, `disk_full`, `log_unavailable`.
   */
  append(rows: readonly PackedRow[]): StoredRow[] {
    try {
      return this.#appendOnce(rows)
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'log_unavailable') return this.#appendOnce(rows)
      throw error
    }
  }

  /** The slow work that an append need not wait for: the next file, checkpoint, sealing, retention. */
  tidy(): void {
    try {
      const active = this.#files.active()
      if (this.#isRollDue(active)) this.#files.roll()
      else active.checkpointIfDue()
      this.#files.sealFinished()
      this.#trim(0)
    } catch (error) {
      if (isSyncError(error)) this.#files.endActive()
      this.#options.onTrouble(storageError(error, this.#options.folder, `tidying ${this.#options.topic}`))
    }
  }

  /** As asked by `read`. */
  read(partition: number, offset: number, records: number): Calls['read']['answer'] {
    return this.#reader.read(partition, offset, records)
  }

  /** First kept offset at or after a receive time; the end when there is none. */
  seek(partition: number, time: Instant): number {
    return this.#reader.seek(partition, time)
  }

  lag(group: string): PartitionLag[] {
    const { groups, topic } = this.#options
    const committed = groups.committed(topic, group) ?? this.#files.starts()
    const starts = this.#files.starts()
    return this.#files.end.map(({ offset: end }, partition) => {
      const from = committed[partition] ?? 0
      const oldest = Math.max(from, starts[partition] ?? 0)
      const records = Math.max(0, end - oldest)
      return { partition, committed: from, end, records, seconds: this.#ageOf(partition, oldest) }
    })
  }

  /** Committed offsets of the group; a new one begins at what is kept, and holds retention back from now on. */
  register(group: string): Registered {
    return this.#options.groups.register(this.#options.topic, group, this.#files.starts())
  }

  /** See {@link copyFiles}; `isWhole`: with where the partitions stand. */
  copyTo(folder: string, isWhole: boolean): void {
    if (this.#hasRows(this.#files.active())) this.#files.roll()
    copyFiles(this.#files, folder, isWhole)
  }

  endOf(partition: number): number {
    return this.#files.end[partition]?.offset ?? 0
  }

  close(): void {
    this.#files.close()
  }

  #appendOnce(rows: readonly PackedRow[]): StoredRow[] {
    const { folder, topic, onTrouble } = this.#options
    let reached = 0
    try {
      this.#makeRoom(rows)
      const active = this.#files.active()
      reached = Math.max(active.size.wal, active.size.database) + bytesOf(rows)
      return this.#insert(active, rows)
    } catch (error) {
      const known = storageError(error, folder, `appending to ${topic}`, reached)
      if (known.code === 'log_full') throw known
      // A write that found no room has changed nothing; a sync may have lost what was written before.
      if (known.code === 'disk_full' && !isSyncError(error)) throw known
      this.#files.endActive()
      onTrouble(known)
      throw known.code === 'disk_full' ? known : new SluiceError('log_unavailable', known.message, { cause: known })
    }
  }

  #insert(active: Segment, rows: readonly PackedRow[]): StoredRow[] {
    const end = [...this.#files.end]
    const stored: StoredRow[] = []
    active.transaction(() => {
      for (const { partition, records, ms, ns, packed } of rows) {
        const before = end[partition]
        if (before === undefined) throw new SluiceError('internal', `no partition ${partition}`)
        const newest = compareInstants(before, { ms, ns }) < 0 ? { ms, ns } : before
        seal(packed)
        active.insert(partition, before.offset, records, newest, packed)
        stored.push({ firstOffset: before.offset, records, packed })
        end[partition] = { offset: before.offset + records, ms: newest.ms, ns: newest.ns }
      }
    })
    this.#files.end = end
    return stored
  }

  #isRollDue(active: Segment): boolean {
    if (active.size.database >= this.#segmentBytes) return true
    const { ageMs } = this.#options.retention
    // One from the future was begun before the clock was set back: it would never be old.
    const isOld = Math.abs(Date.now() - active.beginMs) > (ageMs ?? Infinity) / SEGMENTS_PER_BOUND
    return isOld && this.#hasRows(active)
  }

  #hasRows({ begin }: Segment): boolean {
    return begin.some(({ offset }, partition) => offset < this.endOf(partition))
  }

  #makeRoom(rows: readonly PackedRow[]): void {
    const bound = this.#options.retention.bytes
    if (bound === undefined) return
    // Once in the WAL and once in the database.
    const incoming = 2 * bytesOf(rows)
    this.#trim(incoming)
    const bytes = this.diskBytes()
    if (bytes + incoming <= bound) return
    const message = `${this.#options.topic} has ${bytes} of at most ${bound} bytes, not yet read by a consumer group`
    throw new SluiceError('log_full', message)
  }

  /** Unlinks files, oldest first, that are too old or beyond the bound, as far as every known group has read. */
  #trim(incoming: number): void {
    const { retention, onTrimmed } = this.#options
    const bound = retention.bytes ?? Infinity
    const oldest = Date.now() - (retention.ageMs ?? Infinity)
    const isOld = (marks: readonly Mark[]): boolean => marks.every(({ ms }) => ms < oldest)
    const active = this.#files.active()
    if (isOld(this.#files.end) && this.#isConsumed(this.#files.end) && this.#hasRows(active)) this.#files.roll()
    for (let first = this.#files.finished[0]; first !== undefined; first = this.#files.finished[0]) {
      if (!isOld(first.end) && this.diskBytes() + incoming <= bound) return
      if (!this.#isConsumed(first.end)) return
      this.#files.removeOldest()
      onTrimmed(first.file, this.#files.starts(), this.diskBytes())
    }
  }

  /** Every group that is known has committed up to these marks; without a group nothing is held back. */
  #isConsumed(marks: readonly Mark[]): boolean {
    const { groups, topic } = this.#options
    return marks.every(({ offset }, partition) => (groups.slowest(topic, partition) ?? offset) >= offset)
  }

  /** Seconds since the receive time of the first record from `offset` on; 0 when there is none. */
  #ageOf(partition: number, offset: number): number {
    if (offset >= this.endOf(partition)) return 0
    const [row] = this.read(partition, offset, 1).rows
    if (row === undefined) return 0
    const cursor = new BatchCursor(row.packed)
    cursor.skip(Math.max(0, offset - row.firstOffset))
    return Math.max(0, (Date.now() - cursor.peekTime().ms) / 1000)
  }
}

/** Each row ends in a page of its own. */
function bytesOf(rows: readonly PackedRow[]): number {
  return rows.reduce((sum, { packed }) => sum + packed.byteLength + PAGE_BYTES, 0)
}

/** Error: `setting_invalid` when the bound is too small to be kept with whole files. */
function segmentBytesFor({ topic, partitions, retention }: TopicOptions): number {
  if (retention.bytes === undefined) return SEGMENT_BYTES
  // An empty file has a page or two per partition; most of it should be rows.
  const least = Math.max(1024 * 1024, partitions * 8 * PAGE_BYTES)
  const bytes = Math.min(SEGMENT_BYTES, Math.floor(retention.bytes / SEGMENTS_PER_BOUND))
  if (bytes >= least) return bytes
  throw new SluiceError(
    'setting_invalid',
    `the retention of ${topic} is ${retention.bytes} bytes; the minimum is ${least * SEGMENTS_PER_BOUND}`,
  )
}
