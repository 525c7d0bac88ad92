import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { SluiceError } from '../../errors.ts'
import { makeFolder, syncFolder } from '../../storage/folders.ts'
import { rewrite } from '../../storage/wal.ts'
import type { LogTopic, Position } from '../port.ts'
import type { Registered } from './messages.ts'
import { storageError } from './storage-error.ts'

/** In version 1 rows had no checksums. */
export const GROUPS_VERSION = 2

/**
 * The small database beside the topics: partition count, consumer groups and their committed offsets. It is opened
 * first and keeps SQLite's exclusive lock until it is closed: the lock of the whole folder, let go by the system when
 * the process dies.
 */
export class Groups {
  /** As the folder was made. */
  readonly partitions: number
  /** Name of this log, given when the folder was made: positions in a folder that is made anew are others. */
  readonly log: string
  readonly #database: DatabaseSync
  readonly #write: StatementSync
  readonly #writeNote: StatementSync
  readonly #offsets = new Map<string, Map<string, number[]>>()
  /** By the name that they have among the settings. */
  readonly #notes = new Map<string, string>()

  /** Errors: `data_locked`, `data_unwritable`, `data_newer`, `log_partitions_changed`, `disk_full`, `log_corrupt`. */
  static open(folder: string, partitions: number | undefined): Groups {
    try {
      makeFolder(folder)
      return new Groups(folder, partitions)
    } catch (error) {
      throw storageError(error, folder, `opening ${join(folder, 'groups.sqlite')}`)
    }
  }

  private constructor(folder: string, partitions: number | undefined) {
    const file = join(folder, 'groups.sqlite')
    this.#database = new DatabaseSync(file)
    try {
      prepareDatabase(this.#database, file)
      this.partitions = checkedPartitions(this.#database, file, partitions)
      // As long as a topic id of Kafka. An older folder gets its name when it is first opened.
      this.log = setting(this.#database, file, 'log', randomBytes(16).toString('base64url'))
      this.#load(file)
      this.#write = this.#database.prepare('INSERT OR REPLACE INTO committed VALUES (?, ?, ?, ?, ?)')
      this.#writeNote = this.#database.prepare('INSERT OR REPLACE INTO settings VALUES (?, ?, ?)')
      syncFolder(folder)
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  /** The group's committed offsets by partition; a new group gets `starts`, durable on return. */
  register(topic: LogTopic, group: string, starts: readonly number[]): Registered {
    const known = this.committed(topic, group)
    if (known !== undefined) {
      const notes = known.map((_, partition) => this.#notes.get(noteName(topic, group, partition)))
      return { committed: known, notes, isNew: false }
    }
    this.#save(
      topic,
      group,
      Array.from(starts, (offset, partition) => ({ partition, offset })),
    )
    return { committed: starts, notes: [], isNew: true }
  }

  committed(topic: LogTopic, group: string): readonly number[] | undefined {
    return this.#offsets.get(topic)?.get(group)
  }

  /** Durable on return. A position below the committed one is ignored. The group must be registered. */
  commit(topic: LogTopic, group: string, positions: readonly Position[]): void {
    const higher = new Map<number, Position>()
    for (const position of positions) {
      const { partition, offset } = position
      const before = higher.get(partition)?.offset ?? this.committed(topic, group)?.[partition]
      if (before === undefined) throw new SluiceError('internal', `group ${group} has no partition ${partition}`)
      if (offset > before) higher.set(partition, position)
    }
    if (higher.size > 0) this.#save(topic, group, [...higher.values()])
  }

  /** Lowest committed offset of a partition over all groups; undefined when the topic has no group. */
  slowest(topic: LogTopic, partition: number): number | undefined {
    const offsets = [...(this.#offsets.get(topic)?.values() ?? [])].map((committed) => committed[partition] ?? 0)
    return offsets.length === 0 ? undefined : Math.min(...offsets)
  }

  /** Highest committed offset of a partition over all groups; 0 when the topic has none. */
  furthest(topic: LogTopic, partition: number): number {
    return Math.max(0, ...[...(this.#offsets.get(topic)?.values() ?? [])].map((committed) => committed[partition] ?? 0))
  }

  /** Into a folder that has none yet. */
  copyTo(folder: string): void {
    this.#database.prepare('VACUUM INTO ?').run(join(folder, 'groups.sqlite'))
  }

  close(): void {
    this.#database.close()
  }

  #save(topic: LogTopic, group: string, positions: readonly Position[]): void {
    const changed = new Map<string, string>()
    for (const { partition, note = '' } of positions) {
      const name = noteName(topic, group, partition)
      if (note !== (this.#notes.get(name) ?? '')) changed.set(name, note)
    }
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      for (const { partition, offset } of positions) {
        this.#write.run(topic, group, partition, offset, groupsCheck(topic, group, partition, offset))
      }
      for (const [name, note] of changed) this.#writeNote.run(name, note, groupsCheck(name, note))
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
    for (const { partition, offset } of positions) this.#remember(topic, group, partition, offset)
    for (const [name, note] of changed) this.#keep(name, note)
  }

  #load(file: string): void {
    for (const row of this.#database.prepare('SELECT * FROM committed').all()) {
      if (!isCommitted(row)) throw damaged(file, `the offset of group ${String(row['name'])}`)
      this.#remember(String(row['topic']), String(row['name']), Number(row['partition']), Number(row['offset']))
    }
    for (const row of this.#database.prepare('SELECT * FROM settings').all()) {
      const name = String(row['name'])
      if (!isSetting(row)) throw damaged(file, `the setting ${name}`)
      if (name.startsWith(NOTE)) this.#keep(name, String(row['value']))
    }
  }

  #keep(name: string, note: string): void {
    if (note === '') this.#notes.delete(name)
    else this.#notes.set(name, note)
  }

  #remember(topic: string, group: string, partition: number, offset: number): void {
    const groups = this.#offsets.get(topic) ?? new Map<string, number[]>()
    const committed = groups.get(group) ?? []
    committed[partition] = offset
    this.#offsets.set(topic, groups.set(group, committed))
  }
}

/** How the names of those settings begin that are what a group keeps with a position. */
const NOTE = 'note '

function noteName(topic: string, group: string, partition: number): string {
  return `${NOTE}${topic} ${group} ${partition}`
}

/** The checksum of a row, of its columns in their order. */
function groupsCheck(...values: readonly (string | number)[]): number {
  return crc32(JSON.stringify(values))
}

type Row = Record<string, SQLOutputValue>

/** True for a row of `committed` with its right checksum. */
export function isCommitted({ topic, name, partition, offset, crc }: Row): boolean {
  return crc === groupsCheck(String(topic), String(name), Number(partition), Number(offset))
}

/** True for a row of `settings` with its right checksum. */
export function isSetting({ name, value, crc }: Row): boolean {
  return crc === groupsCheck(String(name), typeof value === 'number' ? value : String(value))
}

function damaged(file: string, what: string): SluiceError {
  const orElse = 'remove it to have all that the log keeps stored again (set LOG_PARTITIONS if it was not 1)'
  return new SluiceError(
    'log_corrupt',
    `${file} is damaged: ${what}; put a backup in its place (./sluice restore --replace), or ${orElse}`,
  )
}

function prepareDatabase(database: DatabaseSync, file: string): void {
  database.exec('PRAGMA locking_mode = EXCLUSIVE')
  // The first read takes the lock.
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version > GROUPS_VERSION)
    throw new SluiceError('data_newer', `${file} has version ${version}, this Sluice knows ${GROUPS_VERSION}`)
  // Ours from here on: what was read is put on the disk before it is believed.
  rewrite(`${file}-wal`)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON; PRAGMA wal_autocheckpoint = 64`)
  const [structure] = database.prepare('PRAGMA integrity_check(1)').all()
  const found = String(Object.values(structure ?? {})[0])
  if (found !== 'ok') throw damaged(file, found)
  if (version === GROUPS_VERSION) return
  database.function('groups_check', { varargs: true, deterministic: true }, (...values) =>
    groupsCheck(...values.map((value) => (typeof value === 'number' ? value : String(value)))),
  )
  database.exec(`BEGIN; ${version === 0 ? TABLES : CHECKSUMS}; PRAGMA user_version = ${GROUPS_VERSION}; COMMIT`)
}

const TABLES = `
  CREATE TABLE settings (name TEXT PRIMARY KEY, value, crc INTEGER) WITHOUT ROWID;
  CREATE TABLE committed (topic TEXT, name TEXT, partition INTEGER, offset INTEGER, crc INTEGER,
    PRIMARY KEY (topic, name, partition)) WITHOUT ROWID`

/** What version 1 lacks. */
const CHECKSUMS = `
  ALTER TABLE settings ADD COLUMN crc INTEGER;
  UPDATE settings SET crc = groups_check(name, value);
  ALTER TABLE committed ADD COLUMN crc INTEGER;
  UPDATE committed SET crc = groups_check(topic, name, partition, offset)`

/** A setting, which is the given one from the first time on that it is asked for. */
function setting(database: DatabaseSync, file: string, name: string, first: string | number): string {
  database.prepare('INSERT OR IGNORE INTO settings VALUES (?, ?, ?)').run(name, first, groupsCheck(name, first))
  const row = database.prepare('SELECT * FROM settings WHERE name = ?').get(name)
  if (row === undefined || !isSetting(row)) throw damaged(file, `the setting ${name}`)
  return String(row['value'])
}

/** What the folder was made with, which is what is asked for, if anything is; a new one gets that, or one. */
function checkedPartitions(database: DatabaseSync, file: string, partitions: number | undefined): number {
  const stored = Number(setting(database, file, 'partitions', partitions ?? 1))
  if (partitions === undefined || stored === partitions) return stored
  throw new SluiceError(
    'log_partitions_changed',
    `the log has ${stored} partitions, but LOG_PARTITIONS is ${partitions}`,
  )
}
