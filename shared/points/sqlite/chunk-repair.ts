import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DATABASE_SUFFIXES, keepDamaged } from '../../storage/damaged.ts'
import { syncFolder } from '../../storage/folders.ts'
import { findRows, type FoundRow } from '../../storage/table-pages.ts'
import { compareInstants, type FieldType } from '../../telemetry.ts'
import {
  columnsOf,
  holds,
  INSERT_CHUNK,
  makeChunk,
  pointsOf,
  tailCheckOf,
  toChunk,
  UNKNOWN,
  type FullChunk,
} from './chunk-row.ts'
import { CHUNK_PAGE_BYTES, prepareChunkFile } from './chunk-schema.ts'
import type { Run } from './columns.ts'
import type { Lost } from './damage.ts'
import { blob, readTable, toValue, type Row } from './row.ts'
import { ALL_TIME, END_OF_TIME } from './time.ts'

/** What a repair came to. */
export interface Repair {
  /** Where the damaged file is kept; undefined when there was none. */
  readonly kept: string | undefined
  readonly lost: readonly Lost[]
}

interface Readable {
  /** By series and time; none overlaps with another. */
  readonly chunks: readonly FullChunk[]
  /** Last chunk by series. */
  readonly tails: ReadonlyMap<number, number>
  /** None of them can be missing. */
  readonly hasTails: boolean
}

/**
 * Puts what can be read of a damaged file in its place and keeps the damaged one under another name. Chunks keep their
 * ids and what they say of the one before, so that the missing ones are missed for good. An absent or empty file is one
 * of which nothing can be read.
 */
export function repairChunkFile(file: string, typeOf: (series: number) => FieldType): Repair {
  const found = readable(file, typeOf)
  const lost = lostOf(found)
  writeFile(`${file}.part`, found, lost.length > 0)
  renameSync(`${file}.part`, `${file}.new`)
  const kept = existsSync(file) ? keepDamaged(file) : undefined
  renameSync(`${file}.new`, file)
  syncFolder(dirname(file))
  return { kept, lost }
}

/** Ends what a crash interrupted in a folder of chunk files. */
export function endRepairs(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (/\.part(-journal)?$/.test(name)) rmSync(join(folder, name))
    if (!name.endsWith('.db.new')) continue
    const file = join(folder, name.slice(0, -'.new'.length))
    if (existsSync(file)) keepDamaged(file)
    renameSync(join(folder, name), file)
    syncFolder(folder)
  }
}

function readable(file: string, typeOf: (series: number) => FieldType): Readable {
  if (!existsSync(file)) return { chunks: [], tails: new Map(), hasTails: false }
  const rows = readTable(file, 'SELECT * FROM chunk NOT INDEXED')?.map((row) => chunkOf({ ...OLD, ...row }))
  const tailRows = readTable(file, 'SELECT * FROM tail NOT INDEXED')?.map(({ series, last, crc }) =>
    tailOf(series, last, crc),
  )
  const pages = rows === undefined || tailRows === undefined ? [...findRows(file, CHUNK_PAGE_BYTES)] : []
  const all = (rows ?? pages.map(chunkOfPage)).filter((chunk) => chunk !== undefined)
  const chunks = inOrder(all.filter((chunk) => holds(chunk, chunk.data)))
  const tails = new Map(
    (tailRows ?? pages.map(({ id, values }) => tailOf(id, values[1], values[2]))).filter((tail) => tail !== undefined),
  )
  const ordered = upgraded(chunks, typeOf)
  // With every row there is, the last of a series is the last.
  if (rows !== undefined)
    for (const [series, last] of lastOfEach(ordered)) if (!tails.has(series)) tails.set(series, last)
  return { chunks: ordered, tails, hasTails: rows !== undefined || tailRows !== undefined }
}

/** Undefined for a row that is none, or whose checksum is not right. */
function chunkOf(row: Row): FullChunk | undefined {
  try {
    const data = blob(row, 'data')
    return { ...toChunk({ ...row, size: data.length }), data }
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** What rows of older formats do not have: `prev` and `crc` came with format 2, `form` with 3. */
const OLD = { prev: null, crc: null, form: null }

const FIRST_COLUMNS = ['series', 'start_ms', 'start_ns', 'end_ms', 'end_ns', 'count', 'summary', 'data']
const COLUMNS = [...FIRST_COLUMNS, ...Object.keys(OLD)]

function chunkOfPage({ id, values }: FoundRow): FullChunk | undefined {
  const [, ...columns] = values
  if (![COLUMNS.length, COLUMNS.length - 1, FIRST_COLUMNS.length].includes(columns.length)) return undefined
  const row = Object.fromEntries(COLUMNS.map((name, i) => [name, toValue(columns[i])]))
  return chunkOf({ id, ...row })
}

function tailOf(series: unknown, last: unknown, crc: unknown): [series: number, last: number] | undefined {
  if (typeof series !== 'number' || typeof last !== 'number') return undefined
  return tailCheckOf(series, last) === crc ? [series, last] : undefined
}

/** By series and time; of two that overlap the later one, which the other one's points went into. */
function inOrder(chunks: readonly FullChunk[]): FullChunk[] {
  const byId = new Map(chunks.map((chunk) => [chunk.id, chunk]))
  const sorted = [...byId.values()].sort(
    (a, b) => a.series - b.series || compareInstants(a.start, b.start) || a.id - b.id,
  )
  const kept: FullChunk[] = []
  for (const chunk of sorted) {
    let last = kept.at(-1)
    while (last !== undefined && last.series === chunk.series && compareInstants(chunk.start, last.end) <= 0) {
      if (last.id > chunk.id) break
      kept.pop()
      last = kept.at(-1)
    }
    const isCovered = last !== undefined && last.series === chunk.series && compareInstants(chunk.start, last.end) <= 0
    if (!isCovered) kept.push(chunk)
  }
  return kept
}

/** Chunks of format 1 get checksums. Those that cannot be read are missed by the one behind. */
function upgraded(chunks: readonly FullChunk[], typeOf: (series: number) => FieldType): FullChunk[] {
  const done: FullChunk[] = []
  let isMissing = false
  for (const [i, chunk] of chunks.entries()) {
    const prior = done.at(-1)
    if (chunks[i - 1]?.series !== chunk.series) isMissing = false
    const before = isMissing ? UNKNOWN : prior?.series === chunk.series ? prior.id : 0
    if (chunk.before !== undefined) {
      done.push(chunk)
      continue
    }
    const type = typeOf(chunk.series)
    const run = readOld(chunk, type)
    isMissing = run === undefined
    if (run !== undefined) done.push(makeChunk(type, run, { id: chunk.id, series: chunk.series, before }))
  }
  return done
}

function readOld(chunk: FullChunk, type: FieldType): Run | undefined {
  try {
    return pointsOf(chunk, chunk.data, type)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function lastOfEach(chunks: readonly FullChunk[]): Map<number, number> {
  return new Map(chunks.map(({ series, id }) => [series, id]))
}

function lostOf({ chunks, tails, hasTails }: Readable): Lost[] {
  const lost: Lost[] = []
  chunks.forEach(({ series, start, before }, i) => {
    const prior = chunks[i - 1]?.series === series ? chunks[i - 1] : undefined
    if (before === (prior?.id ?? 0)) return
    lost.push({ series, span: { from: prior?.end ?? ALL_TIME.from, to: start } })
  })
  const last = new Map(chunks.map((chunk) => [chunk.series, chunk]))
  for (const [series, tail] of tails) {
    const chunk = last.get(series)
    if (chunk?.id !== tail) lost.push({ series, span: { from: chunk?.end ?? ALL_TIME.from, to: END_OF_TIME } })
  }
  return hasTails ? lost : [...lost, { series: undefined, span: ALL_TIME }]
}

function writeFile(file: string, { chunks, tails, hasTails }: Readable, hasGaps: boolean): void {
  for (const suffix of DATABASE_SUFFIXES) rmSync(`${file}${suffix}`, { force: true })
  const db = new DatabaseSync(file)
  try {
    prepareChunkFile(db, file)
    db.exec('BEGIN')
    const insert = db.prepare(INSERT_CHUNK)
    let lastId = 0
    for (const chunk of [...chunks].sort((a, b) => a.id - b.id)) {
      insert.run(...columnsOf(chunk))
      lastId = Math.max(lastId, chunk.id, chunk.before ?? 0)
    }
    const insertTail = db.prepare('INSERT INTO tail VALUES (?, ?, ?)')
    for (const [series, last] of tails) {
      insertTail.run(series, last, tailCheckOf(series, last))
      lastId = Math.max(lastId, last)
    }
    db.prepare('UPDATE state SET gaps = ?, tails = ?, first_id = ?').run(Number(hasGaps), Number(hasTails), lastId + 1)
    db.exec('COMMIT')
  } finally {
    db.close()
  }
}
