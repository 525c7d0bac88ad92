import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { FieldType, Instant } from '../../telemetry.ts'
import { decodeChunk, encodeChunk } from './chunk.ts'
import type { Run } from './columns.ts'
import { blob, int, one } from './row.ts'
import { decodeSummary, encodeSummary, type Summary } from './summary.ts'

/**
 * Small pages: a chunk of half a kilobyte leaves little of them unused, and the file of a tenant with one device,
 * which needs three, stays small.
 */
const PAGE_BYTES = 2048

const SCHEMA = `
  CREATE TABLE chunk (id INTEGER PRIMARY KEY, series INTEGER, start_ms INTEGER, start_ns INTEGER, end_ms INTEGER,
    end_ns INTEGER, count INTEGER, summary BLOB, data BLOB);
  CREATE UNIQUE INDEX chunk_of_series ON chunk (series, start_ms, start_ns)`

const PLACE = 'id, start_ms, start_ns, end_ms, end_ns, count, length(data) AS size'
const COLUMNS = `${PLACE}, summary`

/** A chunk as its row tells it; its points are read when they are asked for. */
export interface Chunk {
  readonly id: number
  readonly start: Instant
  /** Time of the last point. */
  readonly end: Instant
  readonly count: number
  /** Bytes of the points. */
  readonly size: number
  readonly summary: Uint8Array | undefined
}

/**
 * The chunks of one tenant and month. Chunks of one series do not overlap. One connection at a time has the file (the
 * folder's lock sees to that), so a rollback journal does: nothing is left beside the file after a commit, and with
 * synchronous=FULL a commit survives a power cut (a truncated journal is synced, see pager_end_transaction of SQLite).
 */
export class ChunkFile {
  readonly #db: DatabaseSync
  readonly #covering: StatementSync
  readonly #range: StatementSync
  readonly #before: StatementSync
  readonly #after: StatementSync
  readonly #data: StatementSync
  readonly #insert: StatementSync
  readonly #delete: StatementSync

  constructor(file: string) {
    this.#db = new DatabaseSync(file, { timeout: 0 })
    try {
      prepareFile(this.#db)
      const one = 'FROM chunk WHERE series = ?'
      this.#covering = this.#db.prepare(
        `SELECT start_ms, start_ns ${one} AND (start_ms, start_ns) <= (?, ?) ORDER BY start_ms DESC, start_ns DESC LIMIT 1`,
      )
      this.#range = this.#db.prepare(
        `SELECT ${COLUMNS} ${one} AND (start_ms, start_ns) >= (?, ?) AND (start_ms, start_ns) < (?, ?) ORDER BY start_ms, start_ns`,
      )
      this.#before = this.#db.prepare(
        `SELECT ${PLACE} ${one} AND (start_ms, start_ns) < (?, ?) ORDER BY start_ms DESC, start_ns DESC`,
      )
      this.#after = this.#db.prepare(
        `SELECT ${PLACE} ${one} AND (start_ms, start_ns) > (?, ?) ORDER BY start_ms, start_ns`,
      )
      this.#data = this.#db.prepare('SELECT data FROM chunk WHERE id = ?')
      this.#insert = this.#db.prepare(
        'INSERT INTO chunk (series, start_ms, start_ns, end_ms, end_ns, count, summary, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      )
      this.#delete = this.#db.prepare('DELETE FROM chunk WHERE id = ?')
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  get isChanging(): boolean {
    return this.#db.isTransaction
  }

  /** Begins a transaction unless one is open: many chunks share one commit. */
  begin(): void {
    if (!this.#db.isTransaction) this.#db.exec('BEGIN IMMEDIATE')
  }

  commit(): void {
    if (this.#db.isTransaction) this.#db.exec('COMMIT')
  }

  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
  }

  /** Chunks that hold points from `from` on and before `to`, in time order. */
  *overlapping(series: number, from: Instant, to: Instant): Generator<Chunk> {
    const covering = this.#covering.get(series, from.ms, from.ns)
    const ms = covering === undefined ? from.ms : int(covering, 'start_ms')
    const ns = covering === undefined ? from.ns : int(covering, 'start_ns')
    for (const row of this.#range.iterate(series, ms, ns, to.ms, to.ns)) {
      const chunk = toChunk(row)
      if (chunk.end.ms > from.ms || (chunk.end.ms === from.ms && chunk.end.ns >= from.ns)) yield chunk
    }
  }

  /** Chunks that start before a time, latest first; without their summaries. */
  *before(series: number, { ms, ns }: Instant): Generator<Chunk> {
    for (const row of this.#before.iterate(series, ms, ns)) yield toChunk(row)
  }

  /** Chunks that start after a time, earliest first; without their summaries. */
  *after(series: number, { ms, ns }: Instant): Generator<Chunk> {
    for (const row of this.#after.iterate(series, ms, ns)) yield toChunk(row)
  }

  read(chunk: Chunk, type: FieldType): Run {
    const row = this.#data.get(chunk.id)
    if (row === undefined) throw new RangeError('a chunk is missing')
    return decodeChunk(type, chunk.count, blob(row, 'data'))
  }

  summaryOf(chunk: Chunk, type: FieldType): Summary | undefined {
    return chunk.summary === undefined ? undefined : decodeSummary(type, chunk.summary)
  }

  /** Within a transaction: adds the points as one chunk; nothing when there are none. */
  add(series: number, type: FieldType, run: Run): void {
    const last = run.ms.length - 1
    if (last < 0) return
    this.#insert.run(
      series,
      run.ms[0] ?? 0,
      run.ns[0] ?? 0,
      run.ms[last] ?? 0,
      run.ns[last] ?? 0,
      run.ms.length,
      encodeSummary(type, run) ?? null,
      encodeChunk(type, run),
    )
  }

  remove(chunk: Chunk): void {
    this.#delete.run(chunk.id)
  }

  get isEmpty(): boolean {
    return int(one(this.#db.prepare('SELECT count(*) AS chunks FROM (SELECT 1 FROM chunk LIMIT 1)')), 'chunks') === 0
  }

  close(): void {
    this.#db.close()
  }
}

function toChunk(row: Parameters<typeof int>[0]): Chunk {
  return {
    id: int(row, 'id'),
    start: { ms: int(row, 'start_ms'), ns: int(row, 'start_ns') },
    end: { ms: int(row, 'end_ms'), ns: int(row, 'end_ns') },
    count: int(row, 'count'),
    size: int(row, 'size'),
    summary: row['summary'] instanceof Uint8Array ? blob(row, 'summary') : undefined,
  }
}

function prepareFile(db: DatabaseSync): void {
  db.exec(`
    PRAGMA page_size = ${PAGE_BYTES};
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = TRUNCATE;
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA cache_size = -1000;`)
  if (int(one(db.prepare('PRAGMA user_version')), 'user_version') > 0) return
  db.exec(`BEGIN; ${SCHEMA}; PRAGMA user_version = 1; COMMIT`)
}
