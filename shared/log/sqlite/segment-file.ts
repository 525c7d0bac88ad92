import { readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { syncFolder } from '../../storage/folders.ts'
import type { Instant } from '../../telemetry.ts'
import type { LogTopic } from '../port.ts'
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
export const MAX_WAL_BYTES = 4 * 1024 * 1024
/** Files of version 1 have rows without schemes of stamps: they are read, and written on as version 2. */
export const VERSION = 2
/** Application id of a file that holds what could be read of a damaged one: rows may be missing between others. */
export const REPAIRED = 0x536c7270

/** A row, and where it belongs. */
export interface PlacedRow extends StoredRow {
  readonly partition: number
  /** Newest receive time of the partition up to and with the row. */
  readonly newest: Instant
}

/** Makes the file, with rows if there are any. Durable on return, and under its name only when it is whole. */
export function createSegment(file: string, begin: readonly Mark[], rows: readonly PlacedRow[] = []): void {
  const part = `${file}.part`
  removeSegment(part)
  const database = connect(part, 'read')
  try {
    database.exec('BEGIN; CREATE TABLE begin (partition INTEGER PRIMARY KEY, offset INTEGER, ms INTEGER, ns INTEGER)')
    const insert = database.prepare('INSERT INTO begin VALUES (?, ?, ?, ?)')
    database.exec('CREATE TABLE made (ms INTEGER)')
    database.prepare('INSERT INTO made VALUES (?)').run(Date.now())
    begin.forEach((mark, partition) => {
      database.exec(
        `CREATE TABLE p${partition} (offset INTEGER PRIMARY KEY, records INTEGER, ms INTEGER, ns INTEGER, data BLOB)`,
      )
      insert.run(partition, mark.offset, mark.ms, mark.ns)
    })
    for (const { partition, firstOffset, records, newest, packed } of rows) {
      const statement = database.prepare(`INSERT INTO p${partition} VALUES (?, ?, ?, ?, ?)`)
      statement.run(firstOffset, records, newest.ms, newest.ns, packed)
    }
    if (rows.length > 0) database.exec(`PRAGMA application_id = ${REPAIRED}`)
    database.exec(`PRAGMA user_version = ${VERSION}; COMMIT`)
  } finally {
    database.close()
  }
  renameSync(part, file)
  syncFolder(dirname(file))
}

/**
 * When the file was begun, by the wall clock. It stands in the file: not every file system keeps birth times. A file from
 * before has none, and is as old as the first of its rows, or else as its last change.
 */
export function beginTime(database: DatabaseSync, file: string, partitions: number): number {
  const isNoted = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'made'").get() !== undefined
  const noted = isNoted ? database.prepare('SELECT ms FROM made').get()?.['ms'] : undefined
  if (typeof noted === 'number') return noted
  const firsts = Array.from({ length: partitions }, (_, partition) => {
    return database.prepare(`SELECT ms FROM p${partition} ORDER BY offset LIMIT 1`).get()?.['ms']
  })
  const known = firsts.filter((ms) => typeof ms === 'number')
  return known.length > 0 ? Math.min(...known) : statSync(file).mtimeMs
}

/** Removes a segment's files; the database first: what a crash in between leaves looks like nothing. */
export function removeSegment(file: string): void {
  for (const suffix of ['', '-wal', '-journal', '-shm']) rmSync(`${file}${suffix}`, { force: true })
}

/** A connection to a segment, which has the file for itself. */
export function connect(file: string, use: 'write' | 'read'): DatabaseSync {
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

interface Place {
  readonly folder: string
  readonly topic: LogTopic
}

export function segmentFile({ folder, topic }: Place, sequence: number): string {
  return join(folder, `${topic}-${String(sequence).padStart(10, '0')}.sqlite`)
}

/** Those of which only the WAL is left, too. */
export function segmentFiles({ folder, topic }: Place): string[] {
  const names = readdirSync(folder)
    .filter((name) => name.startsWith(`${topic}-`) && /-\d{10}\.sqlite(-wal)?$/.test(name))
    .map((name) => name.replace(/-wal$/, ''))
  return [...new Set(names)].sort().map((name) => join(folder, name))
}

export function sequenceOf(file: string): number {
  return Number(file.slice(-'0000000000.sqlite'.length, -'.sqlite'.length))
}
