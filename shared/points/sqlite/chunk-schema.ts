import type { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { tailCheckOf } from './chunk-row.ts'
import { int, one } from './row.ts'

/**
 * Version of a file of chunks. In 1 chunks had no checksums, and a missing one was not missed; in 2 all numbers were in
 * bytes, and summaries had no form.
 */
export const CHUNK_FORMAT = 3

/** Since when chunks have checksums. */
export const CHECKED_CHUNK_FORMAT = 2

/**
 * Small pages: a chunk of half a kilobyte leaves little of them unused, and the file of a tenant with one device, which
 * needs four, stays small.
 */
export const CHUNK_PAGE_BYTES = 2048

/**
 * `tail` has the last chunk of each series: with `prev` of each chunk it says which ones there must be, in a tree of its
 * own. `state` tells of an earlier repair: that chunks are missing, that tails may be, and where new ids begin, so that the
 * id of a missing chunk is not given to another one.
 */
export const CHUNK_TABLES = `
  CREATE TABLE tail (series INTEGER PRIMARY KEY, last INTEGER, crc INTEGER);
  CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), gaps INTEGER NOT NULL,
    tails INTEGER NOT NULL, first_id INTEGER NOT NULL);
  INSERT INTO state VALUES (1, 0, 1, 1)`

const SCHEMA = `
  CREATE TABLE chunk (id INTEGER PRIMARY KEY, series INTEGER, start_ms INTEGER, start_ns INTEGER, end_ms INTEGER,
    end_ns INTEGER, count INTEGER, summary BLOB, data BLOB, prev INTEGER, crc INTEGER, form INTEGER);
  CREATE UNIQUE INDEX chunk_of_series ON chunk (series, start_ms, start_ns);
  ${CHUNK_TABLES}`

/** Sets a connection up, and makes the tables of a new file or what older formats did not have. */
export function prepareChunkFile(db: DatabaseSync, file: string): void {
  db.exec(`
    PRAGMA page_size = ${CHUNK_PAGE_BYTES};
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = TRUNCATE;
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA cache_size = -1000;`)
  const version = int(one(db.prepare('PRAGMA user_version')), 'user_version')
  if (version > CHUNK_FORMAT)
    throw new SluiceError('data_newer', `${file} has format ${version}, newer than this Sluice`)
  if (version === CHUNK_FORMAT) return
  db.exec('BEGIN')
  if (version === 0) db.exec(SCHEMA)
  else {
    if (version === 1) addChecksums(db)
    db.exec('ALTER TABLE chunk ADD COLUMN form INTEGER')
  }
  db.exec(`PRAGMA user_version = ${CHUNK_FORMAT}; COMMIT`)
}

function addChecksums(db: DatabaseSync): void {
  db.exec(`ALTER TABLE chunk ADD COLUMN prev INTEGER; ALTER TABLE chunk ADD COLUMN crc INTEGER; ${CHUNK_TABLES}`)
  const insert = db.prepare('INSERT INTO tail VALUES (?, ?, ?)')
  for (const row of db.prepare(LAST_OF_EACH).all()) {
    const [series, last] = [int(row, 'series'), int(row, 'id')]
    insert.run(series, last, tailCheckOf(series, last))
  }
}

const LAST_OF_EACH = `
  SELECT series, (SELECT id FROM chunk WHERE series = of.series ORDER BY start_ms DESC, start_ns DESC LIMIT 1) AS id
  FROM (SELECT DISTINCT series FROM chunk) of`
