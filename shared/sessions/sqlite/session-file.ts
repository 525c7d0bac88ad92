import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SluiceError, toSluiceError } from '../../errors.ts'
import { DATABASE_SUFFIXES, keepDamaged } from '../../storage/damaged.ts'
import { walPagesFor } from '../../storage/disk-reserve.ts'
import { sizeOf, syncFolder } from '../../storage/folders.ts'
import { PageSums } from '../../storage/page-sums.ts'
import { storageFault } from '../../storage/storage-fault.ts'
import { readWal, rewrite } from '../../storage/wal.ts'
import { salvage } from './salvage.ts'

/** Marks the file as ours ("Slss") for `file` and for whoever opens it by mistake. */
const APPLICATION = 0x536c7373
export const SESSIONS_PAGE_BYTES = 4096

/** The WAL is moved into the database from this length on, on a small disk earlier. */
const MAX_WAL_BYTES = 4 * 1024 * 1024

/**
 * Client ids are scoped by login, so that those of a login lie together. Times are milliseconds since 1970; without one, a
 * session does not end or is connected, and a will is of a connection. `crc` is the CRC-32 of the message.
 */
const FIRST = `
  CREATE TABLE session (client_id TEXT PRIMARY KEY, expiry INTEGER, ends_ms INTEGER) WITHOUT ROWID;
  CREATE INDEX session_ends ON session (ends_ms) WHERE ends_ms IS NOT NULL;
  CREATE TABLE subscription (
    client_id TEXT NOT NULL, filter TEXT NOT NULL, qos INTEGER NOT NULL, options INTEGER NOT NULL,
    PRIMARY KEY (client_id, filter)) WITHOUT ROWID;
  CREATE TABLE queue (
    client_id TEXT NOT NULL, number INTEGER NOT NULL, message_id INTEGER, is_released INTEGER NOT NULL DEFAULT 0,
    crc INTEGER NOT NULL, message BLOB NOT NULL, PRIMARY KEY (client_id, number)) WITHOUT ROWID;
  CREATE TABLE incoming (
    client_id TEXT NOT NULL, message_id INTEGER NOT NULL, PRIMARY KEY (client_id, message_id)) WITHOUT ROWID;
  CREATE TABLE retained (topic TEXT PRIMARY KEY, crc INTEGER NOT NULL, message BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE will (
    client_id TEXT PRIMARY KEY, delay INTEGER NOT NULL, due_ms INTEGER, crc INTEGER NOT NULL, message BLOB NOT NULL)
    WITHOUT ROWID;
  CREATE INDEX will_due ON will (due_ms) WHERE due_ms IS NOT NULL;`

/** Packet ids of QoS 2 telemetry that is in the log and not released, with what tells the message from another. */
const IN_LOG = `
  CREATE TABLE in_log (
    client_id TEXT NOT NULL, message_id INTEGER NOT NULL, digest INTEGER NOT NULL,
    PRIMARY KEY (client_id, message_id)) WITHOUT ROWID;`

/** The order in which sessions were used last: grows with each that begins, and whose connection ends. */
const LEFT = 'ALTER TABLE session ADD COLUMN left_number INTEGER;'

/** Nothing in the file: from here on `sessions.db-sums` has the checksums of its pages, which whoever writes must know. */
const SUMS = ''

/** Of messages in a queue that came by a group: at which QoS the member has them, and how often they were passed on. */
const SHARED = `
  CREATE TABLE shared (
    client_id TEXT NOT NULL, number INTEGER NOT NULL, qos INTEGER NOT NULL, passed INTEGER NOT NULL, share TEXT NOT NULL,
    PRIMARY KEY (client_id, number)) WITHOUT ROWID;`

/** What each version of the file added. A file of a higher one was written by a newer Sluice. */
const STEPS = [FIRST, IN_LOG, LEFT, SUMS, SHARED]
export const SESSIONS_FORMAT = STEPS.length

interface PreparedFile {
  readonly db: DatabaseSync
  /** Owns the checkpoints of the file, and its end; undefined in memory. */
  readonly sums: PageSums | undefined
}

export interface OpenedFile extends PreparedFile {
  /** What was found damaged; the file is kept under another name then, and `db` has what could be read of it. */
  readonly damage: string | undefined
}

/**
 * Opens (and makes) the file and takes its lock. What an earlier process wrote is on the disk before it is believed.
 * Throws what SQLite says, and `data_newer`.
 */
export function openSessionFile(file: string): OpenedFile {
  if (file === ':memory:') return { db: prepared(file), sums: undefined, damage: undefined }
  const found = isGone(file) ? openAnew(file) : openPresent(file)
  remember(file)
  return found
}

/** Says that there were sessions, when the file itself cannot; it is empty. */
const MADE_SUFFIX = '-made'
/** What could be read of a damaged file, whole before that gives up its name. */
const SALVAGED_SUFFIX = '.salvaged'

function isGone(file: string): boolean {
  return existsSync(`${file}${MADE_SUFFIX}`) && sizeOf(file) === 0
}

function remember(file: string): void {
  if (existsSync(`${file}${MADE_SUFFIX}`)) return
  writeFileSync(`${file}${MADE_SUFFIX}`, '', { mode: 0o600 })
  syncFolder(dirname(file))
}

/** SQLite would take an empty file for a new one, and delete its WAL. */
function openAnew(file: string): OpenedFile {
  const kept = keepDamaged(file)
  if (existsSync(`${file}${SALVAGED_SUFFIX}`)) {
    return { ...salvaged(file), damage: `${file} was damaged; what could be read of it was kept` }
  }
  const left = existsSync(kept) || existsSync(`${kept}-wal`) ? `; what is left of it is kept as ${kept}` : ''
  const lost = 'sessions, their messages and retained messages are lost, and begin anew'
  return { ...opened(file), damage: `${file} is empty or missing: ${lost}${left}` }
}

function openPresent(file: string): OpenedFile {
  // Before SQLite sees it: what follows the damage it would forget without a word.
  const isTorn = readWal(`${file}-wal`, SESSIONS_PAGE_BYTES)?.isDamaged === true
  try {
    if (!isTorn) return { ...opened(file), damage: undefined }
  } catch (error) {
    if (!isDamage(error)) throw error
  }
  checkUse(file)
  // A process that ends at any place between these finds the one or the other.
  const rows = draftSalvaged(file)
  const kept = keepDamaged(file)
  return { ...salvaged(file), damage: `${file} was damaged; it is kept as ${kept}, and ${rows} rows of it were read` }
}

function draftSalvaged(file: string): number {
  const draft = `${file}${SALVAGED_SUFFIX}`
  for (const suffix of DATABASE_SUFFIXES) rmSync(`${draft}${suffix}`, { force: true })
  const db = prepared(draft)
  try {
    return salvage(db, file)
  } finally {
    db.close()
    rmSync(`${file}-shm`, { force: true })
  }
}

function salvaged(file: string): PreparedFile {
  renameSync(`${file}${SALVAGED_SUFFIX}`, file)
  syncFolder(dirname(file))
  return opened(file)
}

/** What looks damaged may be what somebody writes, and what a newer Sluice wrote. */
function checkUse(file: string): void {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 0 })
  try {
    refuseNewer(Number(db.prepare('PRAGMA user_version').get()?.['user_version']), file)
  } catch (error) {
    if (!isDamage(error)) throw error
  } finally {
    db.close()
  }
}

function isDamage(error: unknown): boolean {
  return storageFault(error) === 'corrupt' || toSluiceError(error).code === 'data_corrupt'
}

/** Its pages are compared with their checksums before anything of it is believed. */
function opened(file: string): PreparedFile {
  const sums = PageSums.check(file)
  let db: DatabaseSync | undefined
  try {
    db = prepared(file)
    sums.keep(db, walPagesFor(dirname(file), MAX_WAL_BYTES))
    return { db, sums }
  } catch (error) {
    db?.close()
    sums.release()
    throw error
  }
}

function prepared(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 0 })
  try {
    // The lock is SQLite's own, taken now and held until the process ends: a second process fails here.
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    db.exec(`PRAGMA page_size = ${SESSIONS_PAGE_BYTES}`)
    db.prepare('PRAGMA user_version').get()
    // What the kernel shows of it may not be on the disk, after a sync that failed in an earlier process.
    if (file !== ':memory:') rewrite(`${file}-wal`)
    db.exec('PRAGMA journal_mode = WAL')
    db.exec('PRAGMA synchronous = FULL')
    db.exec('PRAGMA fullfsync = ON')
    db.exec('BEGIN IMMEDIATE')
    makeTables(db, file)
    db.exec('COMMIT')
    check(db, file)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function makeTables(db: DatabaseSync, file: string): void {
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
  refuseNewer(version, file)
  if (version === SESSIONS_FORMAT) return
  db.exec(
    `PRAGMA application_id = ${APPLICATION}; ${STEPS.slice(version).join('')} PRAGMA user_version = ${SESSIONS_FORMAT}`,
  )
}

function refuseNewer(version: number, file: string): void {
  if (version <= SESSIONS_FORMAT) return
  throw new SluiceError('data_newer', `${file} has format ${version}, this Sluice knows ${SESSIONS_FORMAT}`)
}

/** A page that is damaged is better found now than by the client whose messages lie there. */
function check(db: DatabaseSync, file: string): void {
  const [first] = db.prepare('PRAGMA quick_check(1)').all()
  const found = String(Object.values(first ?? {})[0])
  if (found !== 'ok') throw new SluiceError('data_corrupt', `${file}: ${found}`)
}
