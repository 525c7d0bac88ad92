import type { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { rewrite } from '../../storage/wal.ts'
import { addRowCheck } from './hot-rows.ts'
import { int, one, text } from './row.ts'

/**
 * Version of everything below the folder; a higher one in the file was written by a newer Sluice. Formats 1 and 2
 * had no checksums, and in 1 a field had one type: what they wrote is read, and goes when it is sealed or written anew.
 * Format 4 is 3 beside files of chunks of format 3, so that who does not know those opens nothing.
 */
export const HOT_FORMAT = 4

/** Since when rows have checksums. */
export const CHECKED_HOT_FORMAT = 3

/** The WAL is moved into the database from this length on, on a small disk earlier. */
export const MAX_WAL_BYTES = 16 * 1024 * 1024

/** Marks the file as ours ("Slpt") for `file` and for whoever opens it by mistake. */
const APPLICATION = 0x536c7074

/** A field has a series for each type of its values. The index has all columns: a row that is damaged in one of them is whole in the other. */
const SERIES = `
  CREATE TABLE series (
    id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, device TEXT NOT NULL, stream TEXT NOT NULL,
    field TEXT NOT NULL, type INTEGER NOT NULL, hidden INTEGER NOT NULL DEFAULT 0, crc INTEGER);`
const SERIES_INDEX = 'CREATE INDEX series_of_name ON series (tenant, device, stream, field, type, hidden, crc);'

/**
 * Batches up to `sealed.last` are sealed and go; files of chunks that have been committed to; what is known of points
 * that were lost before they were sealed (series 0 where it may be any).
 */
const ADDED = `
  CREATE TABLE sealed (id INTEGER PRIMARY KEY CHECK (id = 1), last INTEGER NOT NULL, crc INTEGER);
  INSERT INTO sealed VALUES (1, 0, row_check('sealed', 1, 0));
  CREATE TABLE chunk_file (id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, month INTEGER NOT NULL, crc INTEGER,
    UNIQUE (tenant, month));
  CREATE TABLE gap (id INTEGER PRIMARY KEY, series INTEGER NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,
    crc INTEGER);`

const SCHEMA = `
  CREATE TABLE tenant (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, keep_ms INTEGER, crc INTEGER);
  ${SERIES} ${SERIES_INDEX}
  CREATE TABLE batch (seq INTEGER PRIMARY KEY, written_at INTEGER NOT NULL, data BLOB NOT NULL, prev INTEGER,
    crc INTEGER);
  CREATE TABLE erasure (seq INTEGER PRIMARY KEY, range TEXT NOT NULL, applied INTEGER NOT NULL DEFAULT 0, prev INTEGER,
    crc INTEGER);
  CREATE TABLE synced (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL, last INTEGER NOT NULL,
    crc INTEGER);
  INSERT INTO synced VALUES (1, 0, 0, row_check('synced', 1, 0, 0));
  ${ADDED}`

/** What formats 1 and 2 lack. Batches keep no checksum: they are sealed within a day. */
const FROM_BEFORE = `
  ALTER TABLE tenant ADD COLUMN crc INTEGER;
  UPDATE tenant SET crc = row_check('tenant', id, name, keep_ms);
  ALTER TABLE series RENAME TO old_series;
  ${SERIES}
  INSERT INTO series SELECT id, tenant, device, stream, field, type, hidden,
    row_check('series', id, tenant, device, stream, field, type, hidden) FROM old_series;
  DROP TABLE old_series;
  ${SERIES_INDEX}
  ALTER TABLE batch ADD COLUMN prev INTEGER;
  ALTER TABLE batch ADD COLUMN crc INTEGER;
  ALTER TABLE erasure ADD COLUMN prev INTEGER;
  ALTER TABLE erasure ADD COLUMN crc INTEGER;
  ALTER TABLE synced ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE synced ADD COLUMN crc INTEGER;
  UPDATE synced SET crc = row_check('synced', id, count, last);
  ${ADDED}`

/**
 * Sets a connection up, takes the lock of the folder, makes or upgrades the tables, and looks at the structure of the
 * whole file. Errors: `data_newer`; a RangeError when the structure is damaged.
 */
export function prepareHotFile(db: DatabaseSync, file: string): void {
  // Taken at the first read and held until close, also against a process that only reads.
  db.exec('PRAGMA locking_mode = EXCLUSIVE')
  const version = int(one(db.prepare('PRAGMA user_version')), 'user_version')
  if (version > HOT_FORMAT)
    throw new SluiceError('data_newer', `the points have format ${version}; this Sluice knows ${HOT_FORMAT}`)
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
  addRowCheck(db)
  // A writing transaction, so that the lock is there even when there is nothing to make.
  db.exec('BEGIN EXCLUSIVE')
  if (version === 0) db.exec(`${SCHEMA}; PRAGMA application_id = ${APPLICATION}`)
  if (version === 1 || version === 2) db.exec(FROM_BEFORE)
  if (version < HOT_FORMAT) db.exec(`PRAGMA user_version = ${HOT_FORMAT}`)
  db.exec('COMMIT')
  const found = text(one(db.prepare('PRAGMA integrity_check(1)')), 'integrity_check')
  if (found !== 'ok') throw new RangeError(found)
}
