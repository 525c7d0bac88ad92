import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { walPagesFor } from '../../storage/disk-reserve.ts'
import { isSyncError } from '../../storage/sync-error.ts'
import type { DeleteRange } from '../port.ts'
import { MAX_WAL_BYTES, prepareHotFile } from './hot-schema.ts'
import { endRewind, prepareRewind } from './rewind.ts'
import { blob, int, one, text } from './row.ts'

/** A delete, in the order of the batches: it covers those with a lower `seq`. */
export interface Erasure {
  readonly seq: number
  readonly range: DeleteRange
  /** The files of chunks have been rid of the points. */
  readonly applied: boolean
}

export interface StoredBatch {
  readonly seq: number
  readonly writtenAt: number
  readonly data: Uint8Array<ArrayBuffer>
}

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
      this.#insertBatch = this.db.prepare('INSERT INTO batch (seq, written_at, data) VALUES (?, ?, ?)')
      this.#deleteBatches = this.db.prepare(
        'DELETE FROM batch WHERE seq IN (SELECT seq FROM batch WHERE seq <= ? ORDER BY seq LIMIT ?)',
      )
      this.#touch = this.db.prepare('UPDATE synced SET count = count + 1')
      const last =
        'SELECT max(coalesce((SELECT max(seq) FROM batch), 0), coalesce((SELECT max(seq) FROM erasure), 0)) AS seq'
      this.#seq = int(one(this.db.prepare(last)), 'seq')
      this.#frames = this.db.prepare('PRAGMA wal_checkpoint(NOOP)')
      this.#syncs = int(one(this.db.prepare('SELECT count FROM synced')), 'count')
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
      this.#commit(() => this.#touch.run())
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
    return this.#noting(() => {
      this.db.exec('BEGIN IMMEDIATE')
      try {
        const result = work()
        this.db.exec('COMMIT')
        this.#unsynced = true
        return result
      } catch (error) {
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

  nextSeq(): number {
    return ++this.#seq
  }

  addBatch({ seq, writtenAt, data }: StoredBatch): void {
    this.#insertBatch.run(seq, writtenAt, data)
  }

  *batches(): Generator<StoredBatch> {
    for (const row of this.db.prepare('SELECT seq, written_at, data FROM batch ORDER BY seq').iterate()) {
      yield { seq: int(row, 'seq'), writtenAt: int(row, 'written_at'), data: blob(row, 'data') }
    }
  }

  /** Deletes up to `limit` of the oldest batches up to `seq`; false when none were left. */
  dropBatches(seq: number, limit: number): boolean {
    return this.transaction(() => Number(this.#deleteBatches.run(seq, limit).changes)) > 0
  }

  erasures(): Erasure[] {
    const rows = this.db.prepare('SELECT seq, range, applied FROM erasure ORDER BY seq').all()
    return rows.map((row) => ({
      seq: int(row, 'seq'),
      // Written by addErasure and nobody else.
      range: JSON.parse(text(row, 'range')) as DeleteRange,
      applied: int(row, 'applied') === 1,
    }))
  }

  addErasure({ seq, range }: Omit<Erasure, 'applied'>): void {
    this.db.prepare('INSERT INTO erasure (seq, range) VALUES (?, ?)').run(seq, JSON.stringify(range))
  }

  markApplied(seq: number): void {
    this.transaction(() => this.db.prepare('UPDATE erasure SET applied = 1 WHERE seq = ?').run(seq))
  }

  /** One step of giving the space of deleted rows back to the disk; false when there is nothing left to give. */
  tidy(pages: number): boolean {
    if (this.#pragma('freelist_count') > 0) {
      this.#noting(() => this.db.exec(`PRAGMA incremental_vacuum(${pages})`))
      this.#unsynced = true
      return true
    }
    const stale = 'DELETE FROM erasure WHERE applied = 1 AND seq < coalesce((SELECT min(seq) FROM batch), 9e15)'
    this.transaction(() => this.db.prepare(stale).run())
    // The file shrinks only when the WAL is written back to it.
    this.#checkpoint('TRUNCATE')
    return false
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
