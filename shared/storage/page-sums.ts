import { closeSync, openSync, readSync, rmSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { SluiceError } from '../errors.ts'
import { sizeOf } from './folders.ts'
import { resultCodeOf, storageFault } from './storage-fault.ts'
import { forgetSums, readSums, writeSums } from './sums-file.ts'
import { isSyncError } from './sync-error.ts'
import { dropKeptWal, keepWal, pagesOfKeptWal } from './wal-link.ts'
import { isLastTorn, pagesOfFrames, readWal } from './wal.ts'

/**
 * Checksums of the pages of a small SQLite database in WAL mode, which has none itself: a bit that flips on the disk
 * would be another value, without a word. They lie in `{file}-sums` and are those of the last checkpoint. The pages in
 * the WAL, whose frames have checksums, are left out; SQLite writes over them only behind the next checkpoint, and only
 * this class makes checkpoints, but for the one of a process that ends with the database open: it deletes the WAL behind
 * it, whose second name tells what it wrote.
 */

/** Of a database that was made with SQLite's default. */
const PAGE_BYTES = 4096
const READ_PAGES = 256

export class PageSums {
  readonly #file: string
  /**
   * Of the database, open until SQLite has closed it: when a process closes any descriptor of a file, the system ends all
   * locks that the process has on it.
   */
  #descriptor: number | undefined
  #db: DatabaseSync | undefined
  #checkpointPages = 0
  #frames: StatementSync | undefined
  #sums: Uint32Array | undefined
  /** Pages were written behind the last checkpoint that the sums know of. */
  #areSumsOld = false
  #isWalKept = false

  private constructor(file: string) {
    this.#file = file
  }

  /**
   * Compares the files with their sums, before the database is opened: whoever closes one moves its WAL into it. Without
   * sums, as of an older Sluice, all is believed. Errors: `data_corrupt`, which names the file; what SQLite says when
   * another process has the database.
   */
  static check(file: string): PageSums {
    checkPresence(file)
    const sums = new PageSums(file)
    try {
      sums.#check()
      return sums
    } catch (error) {
      sums.release()
      throw error
    }
  }

  /** Whether there are sums, and what does not fit to them, of a database that nobody has open. */
  static compare(file: string): { readonly pages: number; readonly flaw: string | undefined } {
    const sums = new PageSums(file)
    try {
      checkPresence(file)
      const flaw = sums.#flaw()?.message
      return { pages: sums.#sums?.length ?? 0, flaw }
    } finally {
      sums.release()
    }
  }

  /** Takes over the checkpoints of the database, which is open now, in WAL mode: from so many pages in the WAL on. */
  keep(db: DatabaseSync, checkpointPages: number): void {
    this.#db = db
    this.#checkpointPages = checkpointPages
    this.#frames = db.prepare('PRAGMA wal_checkpoint(NOOP)')
    db.exec('PRAGMA wal_autocheckpoint = 0')
    if (this.#sums === undefined || this.#areSumsOld) {
      this.#sums = this.#sumsOfAll()
      writeSums(this.#file, this.#sums)
    }
    this.#isWalKept = keepWal(this.#file)
  }

  /**
   * Behind a commit: moves the WAL into the database when it has grown. What SQLite could not move it moves at the next
   * time, as a whole. Throws a sync that failed, and what the file system says of the sums: then nothing more may be
   * written.
   */
  checkpointIfDue(): void {
    if (!this.#isWalKept) this.#isWalKept = keepWal(this.#file)
    if (this.#framesInWal() < this.#checkpointPages) return
    try {
      this.#checkpoint()
    } catch (error) {
      if (resultCodeOf(error) === undefined || isSyncError(error)) throw error
    }
  }

  /** Closes the database; nothing is left in the WAL. */
  close(): void {
    try {
      this.#checkpoint()
    } catch (error) {
      // Closing moves the WAL into the database, if it can.
      this.forget()
      // On a full disk it stays, and nothing is lost.
      if (storageFault(error) !== 'disk_full') throw error
    } finally {
      this.#db?.close()
      this.release()
      dropKeptWal(this.#file)
    }
  }

  /** Removes the sums: older than the database they would accuse it. */
  forget(): void {
    forgetSums(this.#file)
  }

  #check(): void {
    const flaw = this.#flaw()
    if (flaw === undefined) return
    // The files of a process that lives change while they are read.
    throwIfLocked(this.#file)
    throw flaw
  }

  #flaw(): SluiceError | undefined {
    const file = this.#file
    const wal = readWal(`${file}-wal`, PAGE_BYTES)
    if (wal?.isDamaged === true && !isLastTorn(wal)) {
      return damaged(`${file}-wal`, 'a change is damaged', 'move it away to go on without them')
    }
    this.#sums = readSums(file)
    const sums = this.#sums ?? new Uint32Array(0)
    const inWal = new Set(wal?.frames.map(({ page }) => page))
    const found = sums.length === 0 ? sums : this.#sumsOfAll()
    const kept = wal === undefined ? pagesOfKeptWal(file, PAGE_BYTES) : undefined
    this.#areSumsOld = kept !== undefined
    for (let page = 1; page <= Math.max(sums.length, found.length); page++) {
      const sum = found[page - 1]
      if (sums[page - 1] === sum || inWal.has(page) || (sum !== undefined && kept?.get(page)?.has(sum) === true))
        continue
      if (page > sums.length && kept?.has(page) !== true) continue
      const what = page > found.length ? 'is missing' : 'is not as it was written'
      return damaged(
        file,
        `page ${page} of ${sums.length} ${what}`,
        `remove ${file}-sums if another program changed it`,
      )
    }
    return undefined
  }

  #checkpoint(): void {
    const frames = this.#framesInWal()
    if (frames === 0) return
    const pages = pagesOfFrames(`${this.#file}-wal`, frames, PAGE_BYTES)
    this.#db?.exec('PRAGMA wal_checkpoint(PASSIVE)')
    const count = Math.floor(sizeOf(this.#file) / PAGE_BYTES)
    const sums = new Uint32Array(count)
    sums.set(this.#sums?.subarray(0, count) ?? [])
    const bytes = Buffer.alloc(PAGE_BYTES)
    for (const page of pages) {
      if (page > count) continue
      this.#read(bytes, page)
      sums[page - 1] = crc32(bytes)
    }
    this.#sums = sums
    writeSums(this.#file, sums)
  }

  /** Of every page of the file. */
  #sumsOfAll(): Uint32Array {
    const sums = new Uint32Array(Math.floor(sizeOf(this.#file) / PAGE_BYTES))
    const bytes = Buffer.alloc(READ_PAGES * PAGE_BYTES)
    for (let page = 1; page <= sums.length; page += READ_PAGES) {
      const length = this.#read(bytes, page)
      for (let at = 0; at + PAGE_BYTES <= length; at += PAGE_BYTES) {
        sums[page - 1 + at / PAGE_BYTES] = crc32(bytes.subarray(at, at + PAGE_BYTES))
      }
    }
    return sums
  }

  #read(bytes: Buffer, page: number): number {
    this.#descriptor ??= openSync(this.#file, 'r')
    return readSync(this.#descriptor, bytes, 0, bytes.length, (page - 1) * PAGE_BYTES)
  }

  /** Of a database that could not be opened. */
  release(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  #framesInWal(): number {
    return Number(this.#frames?.get()?.['log'] ?? 0)
  }
}

/** SQLite would begin an empty file anew, and delete its WAL. */
function checkPresence(file: string): void {
  if (sizeOf(file) > 0 || (sizeOf(`${file}-wal`) === 0 && sizeOf(`${file}-sums`) === 0)) return
  throw damaged(
    file,
    'it is empty or missing',
    'remove what begins with its name to begin anew, without what was in it',
  )
}

/** Reads only: closing it changes nothing but the index that SQLite makes for reading a WAL. */
function throwIfLocked(file: string): void {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 0 })
  try {
    db.prepare('PRAGMA user_version').get()
  } catch (error) {
    if (storageFault(error) === 'data_locked') throw error
  } finally {
    db.close()
    rmSync(`${file}-shm`, { force: true })
  }
}

function damaged(file: string, what: string, orElse: string): SluiceError {
  return new SluiceError(
    'data_corrupt',
    `${file} is damaged: ${what}; put a backup in its place (./sluice restore --replace), or ${orElse}`,
  )
}
