import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { keepDamaged } from '../../storage/damaged.ts'
import { syncFolder } from '../../storage/folders.ts'
import { findRows, type FoundRow } from '../../storage/table-pages.ts'
import { compareInstants } from '../../telemetry.ts'
import { partitionOf } from '../partition.ts'
import { BatchCursor, flawOf } from '../record-format.ts'
import { createSegment, type Mark, PAGE_BYTES, type PlacedRow } from './segment-file.ts'

/** An offset this far from all others is damaged itself. */
const FAR = 1_000_000

type Row = Omit<PlacedRow, 'newest'>

interface Salvaged {
  /** New name of the damaged file. */
  readonly kept: string
  readonly rows: number
}

/**
 * Puts what can be read of a damaged segment in its place, and keeps the damaged one under another name. Every row has a
 * checksum and its keys name its partition, so that rows are found page by page, without the tree that led to them.
 * Without a row there is nothing in its place. `after` is where the file before it ends, if there is one.
 */
export function salvageSegment(file: string, partitions: number, after: readonly Mark[] | undefined): Salvaged {
  const { rows, begins } = readable(file, partitions)
  const byPartition = Array.from({ length: partitions }, (_, partition) => {
    return inOrder(rows.filter((row) => row.partition === partition))
  })
  const begin = byPartition.map((found, partition): Mark => {
    const first = found[0]?.firstOffset
    const least = after?.[partition] ?? { offset: 0, ms: -1, ns: 0 }
    const said = begins.get(partition)
    const isLikely = said !== undefined && said.offset >= least.offset && said.offset <= (first ?? least.offset + FAR)
    if (isLikely) return said
    return after === undefined && first !== undefined ? { ...least, offset: first } : least
  })
  const placed = byPartition.flatMap((found, partition) => withNewest(found, begin[partition]))
  if (placed.length === 0) return { kept: keepDamaged(file), rows: 0 }
  const ready = `${file}.new`
  createSegment(ready, begin, placed)
  const kept = keepDamaged(file)
  renameSync(ready, file)
  syncFolder(join(file, '..'))
  return { kept, rows: placed.length }
}

/** Ends what a crash interrupted: half-made files go, and a salvaged one that is whole takes its place. */
export function endSalvages(folder: string): void {
  const names = readdirSync(folder)
  for (const name of names.filter((one) => /\.part(-journal)?$/.test(one))) rmSync(join(folder, name))
  for (const name of names.filter((one) => one.endsWith('.new'))) {
    const file = join(folder, name.slice(0, -'.new'.length))
    if (existsSync(file) || existsSync(`${file}-wal`)) keepDamaged(file)
    renameSync(join(folder, name), file)
    syncFolder(folder)
  }
}

/** Rows with their right checksum, each once, and what the file says of where its partitions began. */
function readable(file: string, partitions: number): { rows: Row[]; begins: Map<number, Mark> } {
  const rows = new Map<string, Row>()
  const begins = new Map<number, Mark>()
  for (const found of findRows(file, PAGE_BYTES)) {
    const mark = markOf(found)
    if (mark !== undefined && found.id < partitions) begins.set(found.id, mark)
    const row = rowOf(found, partitions)
    // Of two, the later one is in the newer version of the page.
    if (row !== undefined) rows.set(`${row.partition} ${row.firstOffset}`, row)
  }
  return { rows: [...rows.values()], begins }
}

/** As createSegment writes them. */
function markOf({ values }: FoundRow): Mark | undefined {
  const [, offset, ms, ns] = values
  const isMark = values.length === 4 && typeof offset === 'number' && typeof ms === 'number' && typeof ns === 'number'
  return isMark ? { offset, ms, ns } : undefined
}

function rowOf({ id, values }: FoundRow, partitions: number): Row | undefined {
  const [, , , , data] = values
  if (values.length !== 5 || !(data instanceof Buffer) || data.length < 12) return undefined
  const packed = new Uint8Array(data)
  const records = data.readUInt32LE(8)
  if (flawOf(packed, records) !== undefined || records === 0) return undefined
  return { partition: partitionOf(new BatchCursor(packed).next().key, partitions), firstOffset: id, records, packed }
}

/** By offset, without those whose offset cannot be right: they overlap with others, or are far from all of them. */
function inOrder(rows: readonly Row[]): Row[] {
  const sorted = [...rows].sort((a, b) => a.firstOffset - b.firstOffset)
  const kept: Row[] = []
  for (const [i, row] of sorted.entries()) {
    const before = kept.at(-1)
    const end = before === undefined ? undefined : before.firstOffset + before.records
    const next = sorted[i + 1]?.firstOffset
    const isNext = next !== undefined && row.firstOffset + row.records === next
    const isOverlapping = end !== undefined && row.firstOffset < end
    const isFar = end === undefined ? (next ?? 0) - row.firstOffset > FAR : row.firstOffset - end > FAR
    if (isOverlapping || (isFar && !isNext)) continue
    kept.push(row)
  }
  return kept
}

function withNewest(rows: readonly Row[], begin: Mark | undefined): PlacedRow[] {
  let newest = { ms: begin?.ms ?? -1, ns: begin?.ns ?? 0 }
  return rows.map((row) => {
    const cursor = new BatchCursor(row.packed)
    while (cursor.remaining > 0) {
      const time = cursor.peekTime()
      if (compareInstants(newest, time) < 0) newest = time
      cursor.skip(1)
    }
    return { ...row, newest }
  })
}
