import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DATABASE_SUFFIXES } from '../../storage/damaged.ts'
import { syncFolder } from '../../storage/folders.ts'
import { findRows, type FoundRow } from '../../storage/table-pages.ts'
import { readWal } from '../../storage/wal.ts'
import { MAX_INSTANT } from '../../telemetry.ts'
import { viewBatch, type PackedBatch } from './batch.ts'
import type { HotGap } from './hot-gaps.ts'
import { HOT_COLUMNS, hotValues, insertHot, isHotRow, missingLinks, type HotTable, type Link } from './hot-rows.ts'
import { prepareHotFile } from './hot-schema.ts'
import { endRewind } from './rewind.ts'
import { blob, int, one, optionalInt, readTable, toValue, type Row } from './row.ts'
import { fillUp } from './salvaged-names.ts'

/** Of a database that was made with SQLite's default. */
export const HOT_PAGE_BYTES = 4096

/** Stretches of lost points that are kept apart; beyond them a batch is one stretch of any series. */
const MAX_GAPS = 10_000

export interface HotSalvage {
  /** Where the damaged file is kept. */
  readonly kept: string
  readonly gaps: readonly HotGap[]
  /** Series and tenants of which not even the names are left. */
  readonly nameless: number
}

type Rows = Map<number, Row>

/**
 * Puts what can be read of a damaged hot database in its place, and keeps the damaged one under another name. Undefined
 * when nothing of it can be read, and nothing was changed.
 */
export function salvageHot(file: string): HotSalvage | undefined {
  const kept = copyAside(file)
  const source = new Source(file)
  const [tenants, series] = [source.rows('tenant'), source.rows('series')]
  // Their indexes have the names, too.
  for (const row of source.index('SELECT id, name, NULL AS keep_ms, NULL AS crc FROM tenant ORDER BY name')) {
    if (!tenants.has(int(row, 'id'))) tenants.set(int(row, 'id'), row)
  }
  for (const row of source.index('SELECT * FROM series INDEXED BY series_of_name')) {
    if (isHotRow('series', row) && !series.has(int(row, 'id'))) series.set(int(row, 'id'), row)
  }
  const [batches, erasures] = [source.rows('batch'), source.rows('erasure')]
  if (tenants.size === 0 && series.size === 0 && batches.size === 0) {
    for (const suffix of DATABASE_SUFFIXES) rmSync(`${kept}${suffix}`, { force: true })
    return undefined
  }
  const [synced, sealed] = [source.rows('synced').get(1), source.rows('sealed').get(1)]
  const links = [...batches.values(), ...erasures.values()].sort((a, b) => int(a, 'seq') - int(b, 'seq'))
  const dropped = sealed === undefined ? droppedBefore(links) : int(sealed, 'last')
  const live = links.filter((row) => int(row, 'seq') > dropped || row['range'] !== undefined)
  // Where the row is lost that says it, any number of batches may be.
  const last = synced === undefined ? Infinity : (optionalInt(synced, 'last') ?? 0)
  const ends = { dropped, last }
  const gaps = source.gapsOf(live, ends)
  const whole = live.map(batchOf).filter((batch) => batch !== undefined)
  const lost = fillUp(tenants, series, whole, join(dirname(file), 'chunks'))
  const known = [...source.rows('gap').values()].map((row) => {
    return { series: int(row, 'series'), fromMs: int(row, 'from_ms'), toMs: int(row, 'to_ms') }
  })
  const count = synced === undefined ? 0 : int(synced, 'count')
  write(file, { tenants, series, live, files: source.rows('chunk_file'), gaps: [...known, ...gaps], count, dropped })
  return { kept, gaps, nameless: lost }
}

/** The damaged file, by SQL where that goes, else page by page. */
class Source {
  readonly #file: string
  readonly #isWalDamaged: boolean
  #pages: FoundRow[] | undefined
  readonly #broken: Row[] = []

  constructor(file: string) {
    this.#file = file
    this.#isWalDamaged = readWal(`${file}-wal`, HOT_PAGE_BYTES)?.isDamaged === true
    // SQLite would stop at the damage and forget the rest: the pages are read as they are before it opens the file.
    if (this.#isWalDamaged) this.#pages = [...findRows(file, HOT_PAGE_BYTES)]
  }

  /** Whole rows of a table, by their key. */
  rows(table: HotTable): Rows {
    const key = HOT_COLUMNS[table][0] ?? 'id'
    const found = this.#bySql(table) ?? this.#byPages(table)
    const rows: Rows = new Map()
    for (const row of found) {
      if (isHotRow(table, row)) rows.set(int(row, key), row)
      else if (table === 'batch') this.#broken.push(row)
    }
    return rows
  }

  index(sql: string): Row[] {
    return this.#isWalDamaged ? [] : (readTable(this.#file, sql) ?? [])
  }

  /** What was lost where batches are missing. */
  gapsOf(live: readonly Row[], ends: { dropped: number; last: number }): HotGap[] {
    const links = live.map((row) => ({ seq: int(row, 'seq'), prev: optionalInt(row, 'prev'), row }))
    const missing = missingLinks(links satisfies Link[], ends)
    return missing.flatMap(({ before, behind }): HotGap[] => {
      const [after, until] = [before?.seq ?? ends.dropped, behind?.seq ?? Infinity]
      const inside = this.#broken.filter((row) => int(row, 'seq') > after && int(row, 'seq') < until)
      const gaps = stretchesOf(inside)
      if (gaps.length > 0 && gaps.length < MAX_GAPS) return gaps
      const writtenAt = (row: Row | undefined): number | undefined =>
        row?.['written_at'] === undefined ? undefined : int(row, 'written_at')
      return [{ series: 0, fromMs: writtenAt(before?.row) ?? 0, toMs: writtenAt(behind?.row) ?? Date.now() }]
    })
  }

  #bySql(table: HotTable): Row[] | undefined {
    return this.#isWalDamaged ? undefined : readTable(this.#file, `SELECT * FROM ${table} NOT INDEXED`)
  }

  #byPages(table: HotTable): Row[] {
    this.#pages ??= [...findRows(this.#file, HOT_PAGE_BYTES)]
    const columns = [...HOT_COLUMNS[table], 'crc']
    return this.#pages
      .filter(({ values }) => values.length === columns.length)
      .map(({ id, values }) => {
        return Object.fromEntries(columns.map((name, i) => [name, i === 0 ? id : toValue(values[i])]))
      })
      .filter((row) => row['crc'] !== null && (table !== 'batch' || row['data'] instanceof Uint8Array))
  }
}

/** Of batches with a wrong checksum: the series that they name, and the stretch of each. */
function stretchesOf(rows: readonly Row[]): HotGap[] {
  const stretches = new Map<number, HotGap>()
  for (const row of rows) {
    const { count = 0, ms, series } = batchOf(row) ?? {}
    for (let i = 0; i < count; i++) {
      const [one, time] = [series?.[i] ?? 0, ms?.[i] ?? NaN]
      // What is damaged may be a time.
      if (!Number.isSafeInteger(time) || time < 0 || time > MAX_INSTANT.ms) continue
      const known = stretches.get(one) ?? { series: one, fromMs: time, toMs: time }
      stretches.set(one, { ...known, fromMs: Math.min(known.fromMs, time), toMs: Math.max(known.toMs, time) })
    }
  }
  return [...stretches.values()]
}

function batchOf(row: Row): PackedBatch | undefined {
  if (!(row['data'] instanceof Uint8Array)) return undefined
  try {
    return viewBatch(blob(row, 'data').slice())
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** Without the row that says it: as far as the chain reaches back from its end. */
function droppedBefore(links: readonly Row[]): number {
  let first = links.at(-1)
  for (const link of [...links].reverse()) {
    if (first !== link && first?.['prev'] !== link['seq']) break
    first = link
  }
  return first === undefined ? 0 : (optionalInt(first, 'prev') ?? 0)
}

function copyAside(file: string): string {
  let kept = `${file}.damaged`
  for (let n = 2; existsSync(kept); n++) kept = `${file}.damaged-${n}`
  for (const suffix of DATABASE_SUFFIXES) {
    if (existsSync(`${file}${suffix}`)) copyFileSync(`${file}${suffix}`, `${kept}${suffix}`)
  }
  syncFolder(dirname(file))
  return kept
}

interface Contents {
  readonly tenants: Rows
  readonly series: Rows
  /** Batches and deletes in their order. */
  readonly live: readonly Row[]
  readonly files: Rows
  readonly gaps: readonly HotGap[]
  readonly count: number
  readonly dropped: number
}

function write(file: string, contents: Contents): void {
  const part = `${file}.part`
  for (const suffix of [...DATABASE_SUFFIXES, '-shm']) rmSync(`${part}${suffix}`, { force: true })
  const db = new DatabaseSync(part)
  try {
    prepareHotFile(db, part)
    const add = (table: HotTable, row: Row): void => {
      db.prepare(insertHot(table)).run(
        ...hotValues(
          table,
          HOT_COLUMNS[table].map((name) => row[name] ?? null),
        ),
      )
    }
    db.exec('PRAGMA synchronous = FULL; BEGIN; DELETE FROM synced; DELETE FROM sealed')
    for (const row of contents.tenants.values()) add('tenant', row)
    for (const row of contents.series.values()) add('series', row)
    let prev = contents.dropped
    for (const row of contents.live) {
      add(row['range'] === undefined ? 'batch' : 'erasure', { ...row, prev })
      prev = Math.max(prev, int(row, 'seq'))
    }
    for (const row of contents.files.values()) add('chunk_file', row)
    contents.gaps.forEach(({ series, fromMs, toMs }, i) =>
      add('gap', { id: i + 1, series, from_ms: fromMs, to_ms: toMs }),
    )
    add('synced', { id: 1, count: contents.count, last: prev })
    add('sealed', { id: 1, last: contents.dropped })
    db.exec('COMMIT')
    one(db.prepare('PRAGMA wal_checkpoint(TRUNCATE)'))
  } finally {
    db.close()
  }
  renameSync(part, `${file}.new`)
  endRewind(file)
}
