import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { walPagesFor } from '../../storage/disk-reserve.ts'
import { sizeOf } from '../../storage/folders.ts'
import { isSyncError } from '../../storage/sync-error.ts'
import type { DeleteRange } from '../port.ts'
import type { FileName } from './chunk-files.ts'
import { unlistFile } from './hot-lists.ts'
import { checked, hotValues, insertHot, missingLinks, type Erasure, type Link, type StoredBatch } from './hot-rows.ts'
import { MAX_WAL_BYTES, prepareHotFile } from './hot-schema.ts'
import { endRewind, prepareRewind } from './rewind.ts'
import { blob, int, one, optionalInt, text } from './row.ts'

/**
 * The hot database, `raw.db`: batches as they were written and not sealed yet, deletes, tenants and series. In WAL mode
 * with synchronous=NORMAL a commit outlives the process; {@link HotDatabase.sync} makes all before it outlive a power
 * cut (https://www.sqlite.org/pragma.html#pragma_synchronous). Its exclusive lock is the lock of the whole folder.
 */
export class HotDatabase {
  readonly db: DatabaseSync
  readonly #insertBatch: StatementSync
  readonly #deleteBatches: StatementSync
  readonly #touch: StatementSync
  readonly #frames: StatementSync
  readonly #file: string
  readonly #checkpointPages: number
  #seq: number
  /** The last batch or delete that was committed. */
  #newest: number
  /** Batches up to this one are sealed. */
  #dropped: number
  #unsynced = true
  #syncs: number
  #isDoubtful = false

  constructor(file: string) {
    this.#file = file
    this.#checkpointPages = walPagesFor(dirname(file), MAX_WAL_BYTES)
    endRewind(file)
    this.db = new DatabaseSync(file, { timeout: 0 })
    try {
      prepareHotFile(this.db, file)
      this.#insertBatch = this.db.prepare(insertHot('batch'))
      this.#deleteBatches = this.db.prepare(
        'DELETE FROM batch WHERE seq IN (SELECT seq FROM batch WHERE seq <= ? ORDER BY seq LIMIT ?)',
      )
      this.#touch = this.db.prepare("UPDATE synced SET count = ?1, last = ?2, crc = row_check('synced', id, ?1, ?2)")
      const last =
        'SELECT max(coalesce((SELECT max(seq) FROM batch), 0), coalesce((SELECT max(seq) FROM erasure), 0)) AS seq'
      this.#frames = this.db.prepare('PRAGMA wal_checkpoint(NOOP)')
      const synced = checked('synced', one(this.db.prepare('SELECT * FROM synced')))
      this.#syncs = int(synced, 'count')
      this.#dropped = int(checked('sealed', one(this.db.prepare('SELECT * FROM sealed'))), 'last')
      this.#newest = int(one(this.db.prepare(last)), 'seq')
      this.#seq = Math.max(this.#newest, int(synced, 'last'), this.#dropped)
      this.#checkChain(int(synced, 'last'))
      this.sync()
    } catch (error) {
      this.db.close()
      throw error
    }
  }

  /**
   * A sync has failed: what was written since the last good one may never reach the disk, whatever later syncs say.
   * Nothing more is written until {@link HotDatabase.rewind}.
   */
  get isDoubtful(): boolean {
    return this.#isDoubtful
  }

  /** Runs `work` in one transaction; nothing of it remains when it throws. */
  transaction<T>(work: () => T): T {
    const result = this.#commit(work)
    if (int(one(this.#frames), 'log') >= this.#checkpointPages) this.#checkpoint('PASSIVE')
    return result
  }

  /** Makes every commit so far survive a power cut: a commit under FULL syncs the WAL, and with it all before it. */
  sync(): void {
    if (!this.#unsynced && !this.#isDoubtful) return
    this.db.exec('PRAGMA synchronous = FULL')
    try {
      this.#commit(() => this.#touch.run(this.#syncs + 1, Math.max(this.#newest, this.#dropped)))
      this.#syncs++
      this.#unsynced = false
    } finally {
      this.db.exec('PRAGMA synchronous = NORMAL')
    }
  }

  /** Closes the file, and leaves it as the last good sync left it. May be repeated when it fails. */
  rewind(): void {
    prepareRewind(this.#file, this.#syncs)
    if (this.db.isOpen) this.db.close()
    endRewind(this.#file)
  }

  #commit<T>(work: () => T): T {
    if (this.#isDoubtful) throw new SluiceError('store_unavailable', 'a sync failed; the store has to be opened again')
    const [newest, dropped] = [this.#newest, this.#dropped]
    return this.#noting(() => {
      this.db.exec('BEGIN IMMEDIATE')
      try {
        const result = work()
        this.db.exec('COMMIT')
        this.#unsynced = true
        return result
      } catch (error) {
        this.#newest = newest
        this.#dropped = dropped
        // A full disk may have rolled back already.
        if (this.db.isTransaction) this.db.exec('ROLLBACK')
        throw error
      }
    })
  }

  /**
   * Moves the WAL into the database. SQLite could do so by itself, but would keep a failed sync to itself. Synced first:
   * the database never has pages that a rewind would take back.
   */
  #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): void {
    try {
      this.sync()
      this.#noting(() => this.db.exec(`PRAGMA wal_checkpoint(${mode})`))
    } catch (error) {
      // What was committed before is there all the same; a full disk is met again by the next write.
      if (mode === 'TRUNCATE') throw error
    }
  }

  #noting<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (isSyncError(error)) this.#isDoubtful = true
      throw error
    }
  }

  get bytesOnDisk(): number {
    return sizeOf(this.#file) + sizeOf(`${this.#file}-wal`)
  }

  /** Number of the last write or delete. */
  get lastSeq(): number {
    return this.#seq
  }

  nextSeq(): number {
    return ++this.#seq
  }

  addBatch({ seq, writtenAt, data }: StoredBatch): void {
    this.#insertBatch.run(...hotValues('batch', [seq, writtenAt, data, this.#newest]))
    this.#newest = seq
  }

  *batches(): Generator<StoredBatch> {
    for (const row of this.db.prepare('SELECT * FROM batch ORDER BY seq').iterate()) {
      checked('batch', row)
      yield { seq: int(row, 'seq'), writtenAt: int(row, 'written_at'), data: blob(row, 'data') }
    }
  }

  /** Deletes up to `limit` of the oldest batches up to `seq`; false when none were left. */
  dropBatches(seq: number, limit: number): boolean {
    return (
      this.transaction(() => {
        const { changes } = this.#deleteBatches.run(seq, limit)
        if (changes > 0) this.#markDropped(seq)
        return changes
      }) > 0
    )
  }

  erasures(): Erasure[] {
    const rows = this.db.prepare('SELECT * FROM erasure ORDER BY seq').all()
    return rows.map((row) => ({
      seq: int(row, 'seq'),
      // Written by addErasure and nobody else.
      range: JSON.parse(text(row, 'range')) as DeleteRange,
      applied: int(row, 'applied') === 1,
    }))
  }

  addErasure({ seq, range }: Omit<Erasure, 'applied'>): void {
    const values = hotValues('erasure', [seq, JSON.stringify(range), 0, this.#newest])
    this.db.prepare(insertHot('erasure')).run(...values)
    this.#newest = seq
  }

  markApplied(seq: number): void {
    const sql = "UPDATE erasure SET applied = 1, crc = row_check('erasure', seq, range, 1, prev) WHERE seq = ?"
    this.transaction(() => this.db.prepare(sql).run(seq))
  }

  /** One step of giving the space of deleted rows back to the disk; false when there is nothing left to give. */
  tidy(pages: number): boolean {
    if (this.#pragma('freelist_count') > 0) {
      this.#noting(() => this.db.exec(`PRAGMA incremental_vacuum(${pages})`))
      this.#unsynced = true
      return true
    }
    const stale = 'DELETE FROM erasure WHERE applied = 1 AND seq < coalesce((SELECT min(seq) FROM batch), 9e15)'
    this.transaction(() => {
      if (this.db.prepare(stale).run().changes > 0) this.#markDropped(this.#seq)
    })
    // The file shrinks only when the WAL is written back to it.
    this.#checkpoint('TRUNCATE')
    return false
  }

  /** Durably: this file need not be there any longer. */
  unlistFile(name: FileName): void {
    if (this.transaction(() => unlistFile(this.db, name))) this.sync()
  }

  /** Within a transaction: what has this seq or a lower one may be gone, but for batches that are there. */
  #markDropped(seq: number): void {
    const row = one(this.db.prepare('SELECT min(seq) AS first FROM batch'))
    this.#dropped = Math.max(this.#dropped, Math.min(seq, (optionalInt(row, 'first') ?? Infinity) - 1))
    this.db.prepare("UPDATE sealed SET last = ?1, crc = row_check('sealed', id, ?1)").run(this.#dropped)
  }

  #checkChain(last: number): void {
    const sql = 'SELECT seq, prev FROM batch UNION ALL SELECT seq, prev FROM erasure ORDER BY seq'
    const links = this.db
      .prepare(sql)
      .all()
      .map((row): Link => ({ seq: int(row, 'seq'), prev: optionalInt(row, 'prev') }))
    const [missing] = missingLinks(links, { dropped: this.#dropped, last })
    if (missing !== undefined) throw new RangeError(`a batch behind ${missing.before?.seq ?? this.#dropped} is missing`)
  }

  /** Copies everything into a new file, as of now. */
  copyTo(file: string): void {
    this.db.prepare('VACUUM INTO ?').run(file)
  }

  close(): void {
    this.db.close()
  }

  #pragma(name: string): number {
    return int(one(this.db.prepare(`PRAGMA ${name}`)), name)
  }
}
