import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { checkDatabase, type FileCheck, type Findings } from '../../storage/file-check.ts'
import { formatOf, type StoreFormat } from '../../storage/file-format.ts'
import { sizeOf } from '../../storage/folders.ts'
import { chunkPaths } from './chunk-paths.ts'
import { holds, tailCheckOf, toChunk, UNKNOWN } from './chunk-row.ts'
import { CHECKED_CHUNK_FORMAT, CHUNK_FORMAT, CHUNK_PAGE_BYTES, CHUNK_TABLES } from './chunk-schema.ts'
import { HOT_COLUMNS, isHotRow, missingLinks, type HotTable, type Link } from './hot-rows.ts'
import { HOT_PAGE_BYTES } from './hot-salvage.ts'
import { CHECKED_HOT_FORMAT, HOT_FORMAT } from './hot-schema.ts'
import { blob, int, one, optionalInt, type Row } from './row.ts'
import { formatMonth } from './time.ts'
import { isTornTail } from './torn-wal.ts'

/** What the files of chunks are compared with. */
interface Known {
  /** Paths below `chunks` of files that must be there. */
  readonly files: ReadonlySet<string>
  /** Id of the last series; undefined where the hot database does not say. */
  readonly lastSeries: number | undefined
}

/**
 * Reads every file of a point store that nobody has open, one row at a time, and changes nothing: the checksum of every
 * row and of the points in it, and that none is missing between them.
 */
export function* verifyPoints(folder: string): Generator<FileCheck> {
  if (!existsSync(folder)) return
  let known: Known = { files: new Set(), lastSeries: undefined }
  yield checkHot(join(folder, 'raw.db'), (found) => (known = found))
  const root = join(folder, 'chunks')
  for (const path of [...new Set([...chunkPaths(root), ...known.files])].sort()) {
    yield checkChunks(join(root, path), known)
  }
}

function checkHot(file: string, onKnown: (known: Known) => void): FileCheck {
  return checkDatabase(file, { pageBytes: HOT_PAGE_BYTES, version: HOT_FORMAT, isTorn: isTornTail }, (db, found) => {
    const { user_version: version } = one(db.prepare('PRAGMA user_version'))
    if (Number(version) < CHECKED_HOT_FORMAT) {
      found.notes.push(`format ${String(version)} has no checksums yet: only its structure was looked at`)
      return
    }
    for (const table of Object.keys(HOT_COLUMNS) as HotTable[]) checkRows(db, table, found)
    const lastSeries = checkSeries(db, found)
    checkChain(db, found)
    const files = db.prepare('SELECT tenant, month FROM chunk_file').all()
    onKnown({
      files: new Set(files.map((row) => `${int(row, 'tenant')}/${formatMonth(int(row, 'month'))}.db`)),
      lastSeries,
    })
  })
}

function checkRows(db: DatabaseSync, table: HotTable, found: Findings): void {
  const key = HOT_COLUMNS[table][0] ?? 'id'
  let gaps = 0
  for (const row of db.prepare(`SELECT * FROM ${table} NOT INDEXED`).iterate()) {
    found.compare(isHotRow(table, row), () => `the checksum of row ${String(row[key])} of ${table} differs`)
    if (table === 'gap') gaps++
  }
  if (gaps > 0)
    found.notes.push(`${gaps} spans of points were lost earlier: queries of them are answered with store_corrupt`)
}

/** Ids go up without a hole. */
function checkSeries(db: DatabaseSync, found: Findings): number {
  const row = one(db.prepare('SELECT count(*) AS count, coalesce(max(id), 0) AS last FROM series'))
  const [count, last] = [int(row, 'count'), int(row, 'last')]
  if (count !== last) found.flaw(`${last - count} of ${last} series have no name`)
  return last
}

/** The batches and deletes that are not sealed yet. */
function checkChain(db: DatabaseSync, found: Findings): void {
  const rows = db.prepare('SELECT seq, prev FROM batch UNION ALL SELECT seq, prev FROM erasure ORDER BY seq').all()
  const links = rows.map((row): Link => ({ seq: int(row, 'seq'), prev: optionalInt(row, 'prev') }))
  const dropped = int(one(db.prepare('SELECT last FROM sealed')), 'last')
  const last = int(one(db.prepare('SELECT last FROM synced')), 'last')
  for (const { before } of missingLinks(links, { dropped, last })) {
    found.flaw(`batches of points behind number ${before?.seq ?? dropped} are missing`)
  }
}

function checkChunks(file: string, { files, lastSeries }: Known): FileCheck {
  if (sizeOf(file) === 0 && !files.has(file.split('/').slice(-2).join('/'))) {
    return { file, checked: 0, flaws: [], notes: [] } // nothing was ever committed to it
  }
  return checkDatabase(file, { pageBytes: CHUNK_PAGE_BYTES, version: CHUNK_FORMAT }, (db, found) => {
    const { user_version: version } = one(db.prepare('PRAGMA user_version'))
    if (Number(version) < CHECKED_CHUNK_FORMAT) {
      found.notes.push(`format ${String(version)} has no checksums: only its structure was looked at`)
      return
    }
    for (const { name, sql } of db
      .prepare("SELECT name, sql FROM sqlite_schema WHERE tbl_name IN ('tail', 'state')")
      .all()) {
      found.compare(CHUNK_TABLES.includes(String(sql)), () => `the table ${String(name)} is not the one that was made`)
    }
    const state = one(db.prepare('SELECT id, gaps, tails, first_id FROM state'))
    for (const column of Object.keys(state)) int(state, column)
    const series = new SeriesChain(db, found, int(state, 'tails') === 1)
    const sql = 'SELECT *, length(data) AS size FROM chunk ORDER BY series, start_ms, start_ns'
    for (const row of db.prepare(sql).iterate()) {
      if (lastSeries !== undefined && int(row, 'series') > lastSeries)
        found.flaw(`series ${int(row, 'series')} has no name in raw.db`)
      series.add(row)
    }
    series.end()
    if (series.missing === 0) return
    const what = `chunks are missing in ${series.missing} places`
    if (int(state, 'gaps') === 1) found.notes.push(`${what}, as an earlier start has told`)
    else found.flaw(what)
  })
}

/** Each chunk names the one before it, and `tail` the last one of each series. */
class SeriesChain {
  missing = 0
  readonly #db: DatabaseSync
  readonly #found: Findings
  readonly #hasTails: boolean
  #series: number | undefined
  #last = 0

  constructor(db: DatabaseSync, found: Findings, hasTails: boolean) {
    this.#db = db
    this.#found = found
    this.#hasTails = hasTails
  }

  add(row: Row): void {
    const chunk = chunkOf(row)
    const data = blob(row, 'data')
    const isRight = chunk !== undefined && holds(chunk, data)
    this.#found.compare(
      isRight,
      () => `the checksum of chunk ${int(row, 'id')} of series ${int(row, 'series')} differs`,
    )
    if (chunk === undefined) return
    if (chunk.series !== this.#series) this.#finish(chunk.series)
    // Those of format 1 know of none before them.
    if (chunk.before !== undefined && chunk.before !== this.#last) this.missing++
    this.#last = chunk.id
  }

  end(): void {
    this.#finish(undefined)
    const { count } = one(
      this.#db.prepare('SELECT count(*) AS count FROM tail WHERE series NOT IN (SELECT series FROM chunk)'),
    )
    this.missing += Number(count)
    if (!this.#hasTails) this.missing++
  }

  /** The series before has ended. */
  #finish(next: number | undefined): void {
    const [series, last] = [this.#series, this.#last]
    this.#series = next
    this.#last = 0
    if (series === undefined) return
    const tail = this.#db.prepare('SELECT last, crc FROM tail WHERE series = ?').get(series)
    const named = tail === undefined ? UNKNOWN : int(tail, 'last')
    const isWhole = tail === undefined || int(tail, 'crc') === tailCheckOf(series, named)
    this.#found.compare(isWhole, () => `the checksum of the last chunk of series ${series} differs`)
    if (named !== last && (tail !== undefined || this.#hasTails)) this.missing++
  }
}

/** Undefined when the row is not what was written. */
function chunkOf(row: Row): ReturnType<typeof toChunk> | undefined {
  try {
    return toChunk({ form: null, ...row }) // format 2 had no forms
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** The format of a point store that nobody has open. Throws what SQLite says. */
export function pointsFormat(folder: string): StoreFormat {
  return formatOf(join(folder, 'raw.db'), HOT_FORMAT)
}
