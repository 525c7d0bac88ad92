// Invariant: a row that was committed is never changed. Rows of a partition have ascending offsets without overlap, only
// the newest file is written, and `begin` of a file is where the partitions stood at the end of the file before it.
import { rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { syncFolder } from '../../storage/folders.ts'
import { compareInstants, type Instant } from '../../telemetry.ts'
import { BatchCursor, flawOf } from '../record-format.ts'
import type { StoredRow } from './messages.ts'

/** Where a partition stands: the next offset, and the newest receive time so far (`ms` -1: none yet). */
export interface Mark {
  readonly offset: number
  readonly ms: number
  readonly ns: number
}

/** Of 4 to 32 KiB, the size with the least CPU per record for rows of 1 to 1,000 records (load-tests/bench/log.ts). */
export const PAGE_BYTES = 8192
/** A checkpoint copies this much; on an SD card of 10 MB/s it holds appends up for less than half a second. */
const MAX_WAL_BYTES = 4 * 1024 * 1024
/** A read ends behind the row that passes this. */
const READ_BYTES = 1024 * 1024
/** Files of version 1 have rows without schemes of stamps: they are read, and written on as version 2. */
const VERSION = 2

interface Statements {
  readonly insert: StatementSync
  readonly at: StatementSync
  readonly behind: StatementSync
  readonly place: StatementSync
}

/**
 * One file of a topic: a SQLite database with a table of rows per partition, and where each partition stood when the
 * file was begun, so that the newest file alone tells the next offsets. Only the newest is written; a finished one is
 * sealed (no WAL) and only read. Columns `ms`, `ns`: newest receive time of the partition up to and with the row.
 */
export class Segment {
  readonly file: string
  readonly begin: readonly Mark[]
  /** When the file was made, by the wall clock. */
  readonly madeMs: number
  readonly #database: DatabaseSync
  readonly #statements: Statements[] = []
  readonly #walLimit: number
  readonly #pageCount: StatementSync
  #sinceCheckpoint = 0
  #size: { database: number; wal: number } | undefined

  private constructor(file: string, database: DatabaseSync, segmentBytes: number) {
    this.file = file
    this.#database = database
    this.#walLimit = Math.min(MAX_WAL_BYTES, Math.ceil(segmentBytes / 4))
    this.begin = database
      .prepare('SELECT offset, ms, ns FROM begin ORDER BY partition')
      .all()
      .map((row) => ({ offset: Number(row['offset']), ms: Number(row['ms']), ns: Number(row['ns']) }))
    this.#pageCount = database.prepare('PRAGMA page_count')
    this.madeMs = statSync(file).birthtimeMs
  }

  /** Makes the file; durable, with its folder entry, on return. A half-made file of that name is replaced. */
  static create(file: string, begin: readonly Mark[], segmentBytes: number): Segment {
    removeSegment(file)
    const database = connect(file, 'write')
    try {
      database.exec('BEGIN; CREATE TABLE begin (partition INTEGER PRIMARY KEY, offset INTEGER, ms INTEGER, ns INTEGER)')
      const insert = database.prepare('INSERT INTO begin VALUES (?, ?, ?, ?)')
      begin.forEach((mark, partition) => {
        database.exec(
          `CREATE TABLE p${partition} (offset INTEGER PRIMARY KEY, records INTEGER, ms INTEGER, ns INTEGER, data BLOB)`,
        )
        insert.run(partition, mark.offset, mark.ms, mark.ns)
      })
      database.exec(`PRAGMA user_version = ${VERSION}; COMMIT; PRAGMA wal_checkpoint(TRUNCATE)`)
      syncFolder(dirname(file))
      return new Segment(file, database, segmentBytes)
    } catch (error) {
      database.close()
      throw error
    }
  }

  /** Opens a file as {@link create} left it; undefined when a crash left it half made. Error: `data_newer`. */
  static open(file: string, use: 'write' | 'read', segmentBytes: number): Segment | undefined {
    const database = connect(file, use)
    try {
      const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
      if (version > VERSION) throw new SluiceError('data_newer', `${file} has version ${version}, ours is ${VERSION}`)
      if (version === 1 && use === 'write') database.exec(`PRAGMA user_version = ${VERSION}`)
      if (version > 0) return new Segment(file, database, segmentBytes)
      database.close()
      return undefined
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
   * Rows from the one that holds `offset` (or the next one) on, up to `records` and 1 MiB, at least one.
   * Error: `log_corrupt` when the first of them is damaged; a later one ends the read before it.
   */
  read(topic: string, partition: number, offset: number, records: number): StoredRow[] {
    const rows: StoredRow[] = []
    let count = 0
    let bytes = 0
    for (const row of this.#rows(partition, offset)) {
      const flaw = flawOf(row.packed)
      if (flaw !== undefined) {
        if (rows.length > 0) break
        throw new SluiceError('log_corrupt', `${topic} partition ${partition} offset ${row.firstOffset}: ${flaw}`)
      }
      rows.push(row)
      count += row.firstOffset + row.records - Math.max(offset, row.firstOffset)
      bytes += row.packed.byteLength
      if (count >= records || bytes >= READ_BYTES) break
    }
    return rows
  }

  /** Offset of the first record at or after `time`; it must exist in this file. */
  seek(topic: string, partition: number, time: Instant): number {
    // The newest time up to a row never falls, so the first row that reaches `time` holds the first such record.
    let low = this.begin[partition]?.offset ?? 0
    let high = this.#placeOf(partition, Number.MAX_SAFE_INTEGER)?.end ?? low
    while (low < high) {
      const row = this.#placeOf(partition, Math.floor((low + high) / 2))
      if (row === undefined || compareInstants(row, time) < 0) low = Math.max(row?.end ?? 0, low + 1)
      else high = row.firstOffset
    }
    const [row] = this.read(topic, partition, low, 1)
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
    })
  }
}

/** Removes a segment's files; the database first, so that a crash in between leaves nothing that looks like one. */
export function removeSegment(file: string): void {
  for (const suffix of ['', '-wal', '-journal', '-shm']) rmSync(`${file}${suffix}`, { force: true })
}

function connect(file: string, use: 'write' | 'read'): DatabaseSync {
  const database = new DatabaseSync(file)
  try {
    // EXCLUSIVE: one owner, so the index of the WAL needs no shared memory file.
    // FULL: a commit returns behind the fsync of the WAL. fullfsync: on macOS fsync alone leaves data in the drive.
    database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = ${PAGE_BYTES}; PRAGMA synchronous = FULL;
      PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA wal_autocheckpoint = 0;
      PRAGMA journal_size_limit = ${MAX_WAL_BYTES}`)
    if (use === 'write') database.exec('PRAGMA journal_mode = WAL')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function storedRow(row: Record<string, unknown>): StoredRow {
  const packed = row['data']
  // A row whose blob is not one is reported like any other damage, by its missing bytes.
  const bytes = packed instanceof Uint8Array ? (packed as Uint8Array<ArrayBuffer>) : new Uint8Array(0)
  return { firstOffset: Number(row['offset']), records: Number(row['records']), packed: bytes }
}
