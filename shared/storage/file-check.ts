import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { toSluiceError } from '../errors.ts'
import { DATABASE_SUFFIXES } from './damaged.ts'
import { sizeOf } from './folders.ts'
import { PageSums } from './page-sums.ts'
import { storageFault } from './storage-fault.ts'
import { readWal, type Wal } from './wal.ts'

/** What was found of a file that was read and not changed. */
export interface FileCheck {
  readonly file: string
  /** Rows, or whatever the file has, that were compared with a checksum. */
  readonly checked: number
  /** Each says what is damaged or missing, and what that means. */
  readonly flaws: readonly string[]
  /** Worth knowing, and no damage that the file does not know of. */
  readonly notes: readonly string[]
}

/** Flaws of one file that are named one by one. */
const MAX_NAMED = 20

/** What is found while a file is read. */
export class Findings {
  readonly flaws: string[] = []
  readonly notes: string[] = []
  checked = 0

  /** Counts what was compared, and names what was not what it should be. */
  compare(isRight: boolean, what: () => string): void {
    this.checked++
    if (!isRight) this.flaw(what())
  }

  flaw(what: string): void {
    if (this.flaws.length < MAX_NAMED) this.flaws.push(what)
    else this.flaws[MAX_NAMED] = 'and more'
  }
}

/** Reads a file; what it throws is a flaw, too. */
export function checkFile(file: string, work: (found: Findings) => void): FileCheck {
  const found = new Findings()
  try {
    work(found)
  } catch (error) {
    const { code, message } = toSluiceError(error)
    found.flaw(code === 'internal' ? `it cannot be read: ${message}` : message)
  }
  const { checked, flaws, notes } = found
  return { file, checked, flaws, notes }
}

interface DatabaseCheck {
  readonly pageBytes: number
  /** What a version beyond says: it is not looked into. */
  readonly version: number
  /** Of a damaged WAL: a power cut may have left that, and the store goes on without its end. */
  readonly isTorn?: (wal: Wal) => boolean
}

/** Compares the pages of a database with the checksums that are kept beside it. */
export function checkSums(file: string): FileCheck {
  return checkFile(file, (found) => {
    const { pages, flaw } = PageSums.compare(file)
    found.checked += pages
    if (flaw !== undefined) found.flaw(flaw)
    else if (sizeOf(`${file}-sums`) === 0)
      found.notes.push('there are no checksums of its pages: the next start makes them')
    else if (pages === 0) found.flaw(`${file}-sums is damaged: remove it, and the next start makes it anew`)
  })
}

/** Looks at the structure of a database and, when that is whole, at what is in it. */
export function checkDatabase(
  file: string,
  { pageBytes, version, isTorn = () => false }: DatabaseCheck,
  work: (db: DatabaseSync, found: Findings) => void,
): FileCheck {
  return checkFile(file, (found) => {
    if (sizeOf(file) === 0) return found.flaw('it is empty or missing')
    const wal = readWal(`${file}-wal`, pageBytes)
    if (wal?.isDamaged === true && !isTorn(wal)) {
      return found.flaw(`its WAL (${basename(file)}-wal) is damaged before its end`)
    }
    if (wal?.isDamaged === true) found.notes.push('the end of its WAL is not whole, as a power cut may leave it')
    found.checked += wal?.frames.length ?? 0
    readUnchanged(file, (db) => {
      const known = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
      if (known > version) {
        return void found.notes.push(`format ${known} is newer than this Sluice (${version}): it was not looked into`)
      }
      const [first] = db.prepare('PRAGMA integrity_check(1)').all()
      const structure = String(Object.values(first ?? {})[0])
      if (structure !== 'ok') return found.flaw(`its structure is damaged: ${structure}`)
      work(db, found)
    })
  })
}

/**
 * Reads a database that nobody writes, as its next owner would find it, and changes nothing in its folder. What waits
 * in a WAL or in a journal is looked at in a copy, in the folder for temporary files.
 */
function readUnchanged(file: string, work: (db: DatabaseSync) => void): void {
  if (DATABASE_SUFFIXES.every((suffix) => suffix === '' || sizeOf(`${file}${suffix}`) === 0)) {
    const address = pathToFileURL(file)
    address.searchParams.set('immutable', '1')
    return reading(new DatabaseSync(address, { readOnly: true }), work)
  }
  const folder = mkdtempSync(join(tmpdir(), 'sluice-verify-'))
  try {
    const copy = join(folder, basename(file))
    for (const suffix of DATABASE_SUFFIXES) {
      if (sizeOf(`${file}${suffix}`) > 0) copyFileSync(`${file}${suffix}`, `${copy}${suffix}`)
    }
    reading(new DatabaseSync(copy), work)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function reading(db: DatabaseSync, work: (db: DatabaseSync) => void): void {
  try {
    work(db)
  } finally {
    db.close()
  }
}

/**
 * True when another process has the database, as the stores of a Sluice that runs have theirs. Nothing is left in the
 * folder: what SQLite makes for reading goes while nobody else can have the file.
 */
export function isLocked(file: string): boolean {
  if (sizeOf(file) === 0) return false
  const made = ['-shm', '-wal'].map((suffix) => `${file}${suffix}`).filter((path) => !isThere(path))
  const db = new DatabaseSync(file, { readOnly: true, timeout: 0 })
  try {
    db.exec('BEGIN; SELECT count(*) FROM sqlite_schema')
    for (const path of made) rmSync(path, { force: true })
    return false
  } catch (error) {
    const fault = storageFault(error)
    if (fault === undefined) throw error
    // A folder that is read only, and a file that is damaged, is nobody's.
    return fault === 'data_locked'
  } finally {
    db.close()
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
