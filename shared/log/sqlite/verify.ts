import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { checkDatabase, type FileCheck, type Findings } from '../../storage/file-check.ts'
import { isLastTorn } from '../../storage/wal.ts'
import { formatOf, type StoreFormat } from '../../storage/file-format.ts'
import { flawOf } from '../record-format.ts'
import { GROUPS_VERSION, isCommitted, isSetting } from './groups.ts'
import { flawOfFiles } from './opening.ts'
import { PAGE_BYTES, REPAIRED, sequenceOf, VERSION } from './segment-file.ts'

const SEGMENT = /^(.+)-\d{10}\.sqlite$/
/** Of a database that was made with SQLite's default. */
const GROUPS_PAGE_BYTES = 4096

/** Where the partitions stand behind a file. */
interface Place {
  readonly sequence: number
  readonly end: readonly number[]
}

/**
 * Reads every file of a log that nobody has open, one row at a time, and changes nothing: the checksum of every row, and
 * that no offset is missing between them, between files, and before what groups have read.
 */
export function* verifyLog(folder: string): Generator<FileCheck> {
  const names = existsSync(folder) ? readdirSync(folder).sort() : []
  const ends = new Map<string, Place>()
  const damaged = new Set<string>()
  for (const name of names.map((one) => one.replace(/\.sqlite-wal$/, '.sqlite'))) {
    const topic = SEGMENT.exec(name)?.[1]
    const file = join(folder, name)
    if (topic === undefined || ends.get(topic)?.sequence === sequenceOf(file)) continue
    const before = ends.get(topic)
    let end: readonly number[] = []
    const check = checkSegment(file, before, (found) => (end = found))
    if (check.flaws.length > 0) damaged.add(topic)
    ends.set(topic, { sequence: sequenceOf(file), end })
    yield check
  }
  if (names.length > 0) yield checkGroups(join(folder, 'groups.sqlite'), ends, damaged)
}

function checkSegment(file: string, before: Place | undefined, onEnd: (end: readonly number[]) => void): FileCheck {
  const flaw = flawOfFiles(file)
  if (flaw !== undefined) return { file, checked: 0, flaws: [flaw], notes: [] }
  return checkDatabase(file, { pageBytes: PAGE_BYTES, version: VERSION }, (db, found) => {
    const isRepaired = Number(db.prepare('PRAGMA application_id').get()?.['application_id']) === REPAIRED
    if (isRepaired) found.notes.push('it has what could be read of a file that was damaged')
    const begins = db.prepare('SELECT offset FROM begin ORDER BY partition').all()
    onEnd(
      begins.map(({ offset }, partition) => {
        const begin = Number(offset)
        const reached = before?.end[partition] ?? begin
        // An earlier start has told of what is missing between two files, unless one of them was taken away since.
        const isFileMissing = before !== undefined && sequenceOf(file) > before.sequence + 1
        if (begin > reached && isFileMissing)
          found.flaw(`offsets ${reached} to ${begin - 1} of partition ${partition} lay in a file that is gone`)
        return rowsOf(db, partition, { begin, isRepaired }, found)
      }),
    )
  })
}

/** Returns the offset behind the last row. */
function rowsOf(
  db: DatabaseSync,
  partition: number,
  { begin, isRepaired }: { readonly begin: number; readonly isRepaired: boolean },
  found: Findings,
): number {
  let next = begin
  for (const row of db.prepare(`SELECT offset, records, data FROM p${partition} ORDER BY offset`).iterate()) {
    const [offset, records, data] = [Number(row['offset']), Number(row['records']), row['data']]
    const flaw = data instanceof Uint8Array ? flawOf(data, records) : 'there are no bytes'
    found.compare(flaw === undefined, () => `the row of partition ${partition} from offset ${offset} on: ${flaw}`)
    if (offset !== next && !isRepaired)
      found.flaw(`partition ${partition} goes on at offset ${offset}, and not at ${next}`)
    next = offset + records
  }
  return next
}

function checkGroups(file: string, ends: ReadonlyMap<string, Place>, damaged: ReadonlySet<string>): FileCheck {
  const options = { pageBytes: GROUPS_PAGE_BYTES, version: GROUPS_VERSION, isTorn: isLastTorn }
  return checkDatabase(file, options, (db, found) => {
    const { user_version: version } = db.prepare('PRAGMA user_version').get() ?? {}
    const hasSums = version === GROUPS_VERSION
    if (!hasSums) found.notes.push('its rows have no checksums yet')
    for (const row of db.prepare('SELECT * FROM settings').iterate()) {
      found.compare(!hasSums || isSetting(row), () => `the checksum of ${String(row['name'])} differs`)
    }
    for (const row of db.prepare('SELECT * FROM committed').iterate()) {
      const [topic, group] = [String(row['topic']), String(row['name'])]
      const [partition, offset] = [Number(row['partition']), Number(row['offset'])]
      const end = ends.get(topic)?.end[partition]
      const isRight = !hasSums || isCommitted(row)
      found.compare(
        isRight,
        () => `the offset of group ${group} in partition ${partition} of ${topic} is not what was written`,
      )
      if (!isRight || damaged.has(topic) || end === undefined || offset <= end) continue
      found.flaw(
        `group ${group} has read partition ${partition} of ${topic} up to ${offset}, and the log ends at ${end}`,
      )
    }
  })
}

/** The format of a log that nobody has open. Throws what SQLite says. */
export function logFormat(folder: string): StoreFormat {
  return formatOf(join(folder, 'groups.sqlite'), GROUPS_VERSION)
}
