import type { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { rewrite } from '../../storage/wal.ts'
import { int, one } from './row.ts'

/** Version of everything below the folder. A higher one in the file was written by a newer Sluice. */
const FORMAT = 2

/** The WAL is moved into the database from this length on, on a small disk earlier. */
export const MAX_WAL_BYTES = 16 * 1024 * 1024

/** Marks the file as ours ("Slpt") for `file` and for whoever opens it by mistake. */
const APPLICATION = 0x536c7074

/** A field has a series for each type of its values. */
const SERIES = `
    id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, device TEXT NOT NULL, stream TEXT NOT NULL,
    field TEXT NOT NULL, type INTEGER NOT NULL, hidden INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, device, stream, field, type)`

const SCHEMA = `
  CREATE TABLE tenant (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, keep_ms INTEGER);
  CREATE TABLE series (${SERIES});
  CREATE TABLE batch (seq INTEGER PRIMARY KEY, written_at INTEGER NOT NULL, data BLOB NOT NULL);
  CREATE TABLE erasure (seq INTEGER PRIMARY KEY, range TEXT NOT NULL, applied INTEGER NOT NULL DEFAULT 0);
  CREATE TABLE synced (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL);
  INSERT INTO synced VALUES (1, 0);`

/** From format 1, in which a field had one type. */
const FROM_1 = `
  ALTER TABLE series RENAME TO series_1;
  CREATE TABLE series (${SERIES});
  INSERT INTO series SELECT id, tenant, device, stream, field, type, hidden FROM series_1;
  DROP TABLE series_1;
  PRAGMA user_version = 2`

/** Sets a connection up, takes the lock of the folder, and makes or upgrades the tables. Error: `data_newer`. */
export function prepareHotFile(db: DatabaseSync, file: string): void {
  // Taken at the first read and held until close, also against a process that only reads.
  db.exec('PRAGMA locking_mode = EXCLUSIVE')
  const version = int(one(db.prepare('PRAGMA user_version')), 'user_version')
  if (version > FORMAT)
    throw new SluiceError('data_newer', `the points have format ${version}; this Sluice knows ${FORMAT}`)
  // Ours from here on: what was read is put on the disk before it is believed.
  rewrite(`${file}-wal`)
  if (version === 0) db.exec('PRAGMA auto_vacuum = INCREMENTAL')
  db.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = ${MAX_WAL_BYTES};
    PRAGMA cache_size = -8000;`)
  // A writing transaction, so that the lock is there even when there is nothing to make.
  db.exec('BEGIN EXCLUSIVE')
  if (version === 0) {
    db.exec(`${SCHEMA}; PRAGMA application_id = ${APPLICATION}; PRAGMA user_version = ${FORMAT}`)
  }
  if (version === 1) db.exec(FROM_1)
  db.exec('COMMIT')
}
