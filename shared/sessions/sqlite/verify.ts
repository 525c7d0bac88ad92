import { checkDatabase, checkSums, type FileCheck } from '../../storage/file-check.ts'
import { formatOf, type StoreFormat } from '../../storage/file-format.ts'
import { sizeOf } from '../../storage/folders.ts'
import { checkedBytes } from './rows.ts'
import { SESSIONS_FORMAT, SESSIONS_PAGE_BYTES } from './session-file.ts'

/** Tables of which every row has a message with a checksum. */
const TABLES = { queue: 'client_id', retained: 'topic', will: 'client_id' } as const

/**
 * Reads the file of sessions that nobody has open, and changes nothing: the checksums of its pages, its structure, its WAL
 * and the checksum of every message. Nothing when there is no such file.
 */
export function* verifySessions(file: string): Generator<FileCheck> {
  if (sizeOf(file) === 0 && sizeOf(`${file}-wal`) === 0) return
  const sums = checkSums(file)
  yield sums
  if (sums.flaws.length > 0) return
  yield checkDatabase(file, { pageBytes: SESSIONS_PAGE_BYTES, version: SESSIONS_FORMAT }, (db, found) => {
    for (const [table, key] of Object.entries(TABLES)) {
      for (const row of db.prepare(`SELECT ${key} AS key, crc, message FROM ${table}`).iterate()) {
        const isRight = checkedBytes(row) !== undefined
        found.compare(isRight, () => `the checksum of a message of ${String(row['key'])} in ${table} differs`)
      }
    }
  })
}

/** The format of a file of sessions that nobody has open. Throws what SQLite says. */
export function sessionsFormat(file: string): StoreFormat {
  return formatOf(file, SESSIONS_FORMAT)
}
