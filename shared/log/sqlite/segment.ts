// Invariant: a row that was committed is never changed. Rows of a partition have ascending offsets without overlap, only
// the newest file is written, and `begin` of a file is where the partitions stood at the end of the file before it.
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { walBytesFor } from '../../storage/disk-reserve.ts'
import { compareInstants, type Instant } from '../../telemetry.ts'
import { BatchCursor, flawOf } from '../record-format.ts'
import type { StoredRow } from './messages.ts'
import { beginTime, connect, type Mark, MAX_WAL_BYTES, PAGE_BYTES, REPAIRED, VERSION } from './segment-file.ts'

/** A read ends behind the row that passes this. */
const READ_BYTES = 1024 * 1024
/** A row that is not what was stored. */
export type OnDamagedRow = (row: StoredRow, flaw: string) => void

interface Statements {
  readonly insert: StatementSync
  readonly at: StatementSync
  readonly behind: StatementSync
  readonly place: StatementSync
  readonly first: StatementSync
}

/**
 * One file of a topic: a SQLite database with a table of rows per partition, and where each partition stood when the
 * file was begun, so that the newest file alone tells the next offsets. Only the newest is written; a finished one is
 * sealed (no WAL) and only read. Columns `ms`, `ns`: newest receive time of the partition up to and with the row.
 */
export class Segment {
  readonly file: string
  readonly begin: readonly Mark[]
  /** When the file was begun, by the wall clock. */
  readonly beginMs: number
  readonly isRepaired: boolean
  readonly #database: DatabaseSync
  readonly #statements: Statements[] = []
  readonly #walLimit: number
  readonly #pageCount: StatementSync
  #sinceCheckpoint = 0
  #size: { database: number; wal: number } | undefined

  private constructor(file: string, database: DatabaseSync, segmentBytes: number) {
    this.file = file
    this.#database = database
    this.#walLimit = Math.min(walBytesFor(dirname(file), MAX_WAL_BYTES), Math.ceil(segmentBytes / 4))
    this.isRepaired = Number(database.prepare('PRAGMA application_id').get()?.['application_id']) === REPAIRED
    this.begin = database
      .prepare('SELECT offset, ms, ns FROM begin ORDER BY partition')
      .all()
      .map((row) => ({ offset: Number(row['offset']), ms: Number(row['ms']), ns: Number(row['ns']) }))
    this.#pageCount = database.prepare('PRAGMA page_count')
    this.beginMs = beginTime(database, file, this.begin.length)
  }

  /** Opens a file as {@link createSegment} left it. Errors: `data_newer`, `log_corrupt` when nothing of one can be told. */
  static open(file: string, use: 'write' | 'read', segmentBytes: number): Segment {
    const database = connect(file, use)
    try {
      const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
      if (version > VERSION)
        throw new SluiceError('data_newer', `${file} has version ${version}, this Sluice knows ${VERSION}`)
      if (version < 1) throw new SluiceError('log_corrupt', `${file} contains no log`)
      if (version === 1 && use === 'write') database.exec(`PRAGMA user_version = ${VERSION}`)
      return new Segment(file, database, segmentBytes)
    } catch (error) {
      database.close()
      throw error
    }
  }

  /** Where each partition stands behind the rows of this file. */
  end(): Mark[] {
    return this.begin.map((begin, partition) => {
      const row = this.#placeOf(partition, Number.MAX_SAFE_INTEGER)
      return row === undefined ? begin : { offset: row.end, ms: row.ms, ns: row.ns }
    })
  }

  /** Offset of the first row of each partition; undefined where there is none. */
  firstOffsets(): (number | undefined)[] {
    return this.begin.map((_, partition) => {
      const first = this.#of(partition).first.get()?.['offset']
      return first === undefined ? undefined : Number(first)
    })
  }

  /** What does not fit together at the ends of the file, where the next offsets come from. */
  flaw(partitions: number): string | undefined {
    if (this.begin.length !== partitions) return `${this.begin.length} partitions`
    if (this.isRepaired) return undefined
    const firsts = this.firstOffsets()
    for (const [partition, { offset }] of this.begin.entries()) {
      const last = this.#placeOf(partition, Number.MAX_SAFE_INTEGER)
      if (last === undefined) continue
      const before = this.#placeOf(partition, last.firstOffset - 1)?.end ?? offset
      const isFitting = firsts[partition] === offset && before === last.firstOffset
      if (!isFitting) return `partition ${partition} does not begin or end where it should`
    }
    return undefined
  }

  /** Runs `work` in one transaction that is on the disk when this returns; an error undoes it. */
  transaction(work: () => void): void {
    this.#size = undefined
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#database.exec('COMMIT')
    } catch (error) {
      // SQLite ends the transaction by itself after some errors, a full disk among them.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  insert(partition: number, firstOffset: number, records: number, newest: Instant, packed: Uint8Array): void {
    this.#of(partition).insert.run(firstOffset, records, newest.ms, newest.ns, packed)
    this.#sinceCheckpoint += packed.byteLength + PAGE_BYTES
  }

  /**
   * Rows from the one that holds `offset` (or the next one) on, before `end`, up to `records` and 1 MiB. Damaged ones
   * are left out and told when a read begins with them; one further on ends the read. Error: `log_corrupt` when rows
   * are missing.
   */
  read(
    { partition, offset, end, records }: { partition: number; offset: number; end: number; records: number },
    onDamaged: OnDamagedRow,
  ): StoredRow[] {
    const rows: StoredRow[] = []
    let next = Math.max(offset, this.begin[partition]?.offset ?? 0)
    let count = 0
    let bytes = 0
    for (const row of this.#rows(partition, offset)) {
      if (row.firstOffset >= end) break
      const isMissing = row.firstOffset > next && !this.isRepaired
      const flaw = isMissing ? undefined : flawOf(row.packed, row.records)
      if (rows.length > 0 && (row.firstOffset > next || flaw !== undefined)) break
      if (isMissing)
        throw new SluiceError('log_corrupt', `${this.file}: no row of partition ${partition} from ${next} on`)
      next = row.firstOffset + row.records
      if (flaw !== undefined) {
        onDamaged(row, flaw)
        continue
      }
      rows.push(row)
      count += row.firstOffset + row.records - Math.max(offset, row.firstOffset)
      bytes += row.packed.byteLength
      if (count >= records || bytes >= READ_BYTES) break
    }
    return rows
  }

  /** Offset of the first record at or after `time`; it must exist in this file. */
  seek(partition: number, time: Instant): number {
    // The newest time up to a row never falls, so the first row that reaches `time` holds the first such record.
    let low = this.begin[partition]?.offset ?? 0
    const end = this.#placeOf(partition, Number.MAX_SAFE_INTEGER)?.end ?? low
    let high = end
    while (low < high) {
      const row = this.#placeOf(partition, Math.floor((low + high) / 2))
      if (row === undefined || compareInstants(row, time) < 0) low = Math.max(row?.end ?? 0, low + 1)
      else high = row.firstOffset
    }
    const [row] = this.read({ partition, offset: low, end, records: 1 }, () => {})
    if (row === undefined) return low
    const cursor = new BatchCursor(row.packed)
    while (cursor.remaining > 1 && compareInstants(cursor.peekTime(), time) < 0) cursor.skip(1)
    return row.firstOffset + row.records - cursor.remaining
  }

  /** Bytes of the database as a checkpoint will leave it, and of its WAL: together the most that the disk holds. */
  get size(): { readonly database: number; readonly wal: number } {
    this.#size ??= {
      database: Number(this.#pageCount.get()?.['page_count']) * PAGE_BYTES,
      wal: statSync(`${this.file}-wal`, { throwIfNoEntry: false })?.size ?? 0,
    }
    return this.#size
  }

  /** Moves the WAL into the database when it has grown; later appends then write over it from its start. */
  checkpointIfDue(): void {
    if (this.#sinceCheckpoint < this.#walLimit) return
    this.#size = undefined
    this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)')
    this.#sinceCheckpoint = 0
  }

  /** No more appends: one plain file remains, which can be read without writing beside it. */
  seal(): void {
    const mode = this.#database.prepare('PRAGMA journal_mode = DELETE').get()?.['journal_mode']
    if (mode !== 'delete') throw new Error(`${this.file} could not be sealed`)
  }

  /** Into a new file, as of now. */
  copyTo(file: string): void {
    this.#database.prepare('VACUUM INTO ?').run(file)
  }

  close(): void {
    this.#database.close()
  }

  *#rows(partition: number, offset: number): Generator<StoredRow> {
    const { at, behind } = this.#of(partition)
    const first = at.get(offset)
    if (first !== undefined && Number(first['offset']) + Number(first['records']) > offset) yield storedRow(first)
    for (const row of behind.iterate(offset)) yield storedRow(row)
  }

  #placeOf(partition: number, offset: number): (Instant & { firstOffset: number; end: number }) | undefined {
    const row = this.#of(partition).place.get(offset)
    if (row === undefined) return undefined
    const firstOffset = Number(row['offset'])
    return { firstOffset, end: firstOffset + Number(row['records']), ms: Number(row['ms']), ns: Number(row['ns']) }
  }

  #of(partition: number): Statements {
    const table = `p${partition}`
    return (this.#statements[partition] ??= {
      insert: this.#database.prepare(`INSERT INTO ${table} VALUES (?, ?, ?, ?, ?)`),
      at: this.#database.prepare(
        `SELECT offset, records, data FROM ${table} WHERE offset <= ? ORDER BY offset DESC LIMIT 1`,
      ),
      behind: this.#database.prepare(`SELECT offset, records, data FROM ${table} WHERE offset > ? ORDER BY offset`),
      place: this.#database.prepare(
        `SELECT offset, records, ms, ns FROM ${table} WHERE offset <= ? ORDER BY offset DESC LIMIT 1`,
      ),
      first: this.#database.prepare(`SELECT offset FROM ${table} ORDER BY offset LIMIT 1`),
    })
  }
}

function storedRow(row: Record<string, unknown>): StoredRow {
  const packed = row['data']
  // A row whose blob is not one is reported like any other damage, by its missing bytes.
  const bytes = packed instanceof Uint8Array ? (packed as Uint8Array<ArrayBuffer>) : new Uint8Array(0)
  return { firstOffset: Number(row['offset']), records: Number(row['records']), packed: bytes }
}
