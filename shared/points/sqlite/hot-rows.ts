import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { DeleteRange } from '../port.ts'
import type { Row } from './row.ts'

/**
 * Rows of the hot database and their checksums, in the last column `crc`. Each begins with the name of its table: what
 * is found in a page without the tree above it is of one table and no other. Rows of earlier formats have none.
 */
export type HotTable = 'tenant' | 'series' | 'batch' | 'erasure' | 'synced' | 'sealed' | 'chunk_file' | 'gap'

/** Columns that the checksum covers, in the order in which they lie, but for the key of the row, which is first. */
export const HOT_COLUMNS: Readonly<Record<HotTable, readonly string[]>> = {
  tenant: ['id', 'name', 'keep_ms'],
  series: ['id', 'tenant', 'device', 'stream', 'field', 'type', 'hidden'],
  batch: ['seq', 'written_at', 'data', 'prev'],
  erasure: ['seq', 'range', 'applied', 'prev'],
  synced: ['id', 'count', 'last'],
  sealed: ['id', 'last'],
  chunk_file: ['id', 'tenant', 'month'],
  gap: ['id', 'series', 'from_ms', 'to_ms'],
}

type Value = Row[string]

/** The checksum of the columns of a row. */
export function hotCheck(table: HotTable, values: readonly Value[]): number {
  let sum = crc32(table)
  const plain = values.map((value) => {
    if (!(value instanceof Uint8Array)) return value
    sum = crc32(value, sum)
    return value.length
  })
  return crc32(JSON.stringify(plain), sum) | 0
}

/** True for a row with its right checksum, and for one of an earlier format. */
export function isHotRow(table: HotTable, row: Row): boolean {
  const { crc = null, prev = null } = row
  if (crc === null && prev === null) return true
  return (
    crc ===
    hotCheck(
      table,
      HOT_COLUMNS[table].map((name) => row[name] ?? null),
    )
  )
}

/** The row. Throws a RangeError when its checksum is not right. */
export function checked(table: HotTable, row: Row): Row {
  if (!isHotRow(table, row)) throw new RangeError(`the checksum of a row of ${table} differs`)
  return row
}

/** INSERT of a row; the checksum comes last. */
export function insertHot(table: HotTable): string {
  const columns = [...HOT_COLUMNS[table], 'crc']
  return `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`
}

/** The values of {@link insertHot}. */
export function hotValues(table: HotTable, values: readonly Value[]): Value[] {
  return [...values, hotCheck(table, values)]
}

/** Makes `row_check(table, values...)` known to a connection, for statements that change a part of a row. */
export function addRowCheck(db: DatabaseSync): void {
  db.function('row_check', { varargs: true, deterministic: true }, (...all: Value[]) => {
    const [table, ...values] = all
    return hotCheck(table as HotTable, values)
  })
}

/** A delete, in the order of the batches: it covers those with a lower `seq`. */
export interface Erasure {
  readonly seq: number
  readonly range: DeleteRange
  /** The files of chunks have been rid of the points. */
  readonly applied: boolean
}

export interface StoredBatch {
  readonly seq: number
  readonly writtenAt: number
  readonly data: Uint8Array<ArrayBuffer>
}

/** Batches and deletes are a chain: each names the one before it, up to the last one that the last sync covered. */
export interface Link {
  readonly seq: number
  /** Undefined for one of an earlier format. */
  readonly prev: number | undefined
}

export interface ChainEnds {
  /** What has this seq or a lower one is sealed, and may be gone. */
  readonly dropped: number
  /** The last one when the last sync was made. */
  readonly last: number
}

/** Places at which something of the chain is missing, as the links before and behind; none when it is whole. */
export function missingLinks<T extends Link>(
  links: readonly T[],
  { dropped, last }: ChainEnds,
): { before: T | undefined; behind: T | undefined }[] {
  const missing: { before: T | undefined; behind: T | undefined }[] = []
  let before: T | undefined
  for (const link of links) {
    if (link.seq <= dropped) continue
    const isLinked =
      link.prev === undefined || link.prev === before?.seq || (before === undefined && link.prev <= dropped)
    if (!isLinked) missing.push({ before, behind: link })
    before = link
  }
  if (last > Math.max(dropped, before?.seq ?? 0)) missing.push({ before, behind: undefined })
  return missing
}
