import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { readWal, rewrite } from '../../storage/wal.ts'
import { salvageSegment } from './salvage.ts'
import { type Mark, PAGE_BYTES } from './segment-file.ts'
import { Segment } from './segment.ts'
import { storageError } from './storage-error.ts'

/** What the file is opened with. */
export interface Opening {
  readonly folder: string
  readonly partitions: number
  readonly segmentBytes: number
  /** Where the file before it ends, if there is one. */
  readonly after: readonly Mark[] | undefined
  readonly onDamage: (detail: string) => void
}

/** A segment, or what can be read of it; undefined when that is nothing. Error: `data_newer`. */
export function openOrSalvage(file: string, use: 'write' | 'read', opening: Opening): Segment | undefined {
  rewrite(`${file}-wal`)
  let flaw = flawOfFiles(file)
  if (flaw === undefined) {
    let segment: Segment | undefined
    try {
      segment = Segment.open(file, use, opening.segmentBytes)
      flaw = segment.flaw(opening.partitions)
      if (flaw === undefined) return segment
    } catch (error) {
      const known = storageError(error, opening.folder, file)
      if (known.code !== 'log_corrupt') throw error
      flaw = known.message
    }
    segment?.close()
  }
  return salvage(file, flaw, use, opening)
}

/** Puts what can be read of a damaged segment in its place, says so, and opens that. */
export function salvage(file: string, flaw: string, use: 'write' | 'read', opening: Opening): Segment | undefined {
  const { kept, rows } = salvageSegment(file, opening.partitions, opening.after)
  opening.onDamage(`${flaw} in ${file}, which is kept as ${kept}; ${rows} rows could be read`)
  return rows === 0 ? undefined : Segment.open(file, use, opening.segmentBytes)
}

/** What can be told without SQLite, which begins an empty file anew and forgets what follows damage in a WAL. */
export function flawOfFiles(file: string): string | undefined {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size < PAGE_BYTES) return `there are only ${size} bytes`
  const wal = readWal(`${file}-wal`, PAGE_BYTES)
  if (wal?.isDamaged === true) return 'the WAL is damaged before its end'
  const pages = wal?.frames.findLast(({ isWhole, pages }) => isWhole && pages > 0)?.pages ?? pagesOf(file)
  const inWal = new Set(wal?.frames.map(({ page }) => page))
  for (let page = Math.floor(size / PAGE_BYTES) + 1; page <= pages; page++) {
    if (!inWal.has(page)) return `${pages} pages should be there, page ${page} is missing`
  }
  return undefined
}

/** Size of the database in pages, as its header says. */
function pagesOf(file: string): number {
  const header = Buffer.alloc(32)
  const descriptor = openSync(file, 'r')
  try {
    readSync(descriptor, header, 0, header.length, 0)
  } finally {
    closeSync(descriptor)
  }
  return header.readUInt32BE(28)
}
