import { existsSync, linkSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { syncFolder } from './folders.ts'
import { readWal } from './wal.ts'

/**
 * A second name of a database's WAL. A thread that ends with its database open, because the process does, has SQLite move
 * the WAL into the database and delete it, and nothing of ours runs any more: under this name it stays, and says what
 * became of the pages.
 */
const SUFFIX = '-wal-link'

/** File systems without hard links: FAT, and some of the network. */
const HAS_NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/** Gives the WAL its second name, durably. False while there is no WAL. Throws what the file system says. */
export function keepWal(file: string): boolean {
  dropKeptWal(file)
  if (!existsSync(`${file}-wal`)) return false
  try {
    linkSync(`${file}-wal`, `${file}${SUFFIX}`)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && HAS_NO_LINKS.includes(String(error.code)))) throw error
  }
  syncFolder(dirname(file))
  return true
}

/** Behind a clean close, whose sums are those of the database. */
export function dropKeptWal(file: string): void {
  rmSync(`${file}${SUFFIX}`, { force: true })
}

/**
 * The CRC-32 of each version of each page in a WAL that SQLite deleted; undefined when none was kept. The newest may be of a
 * transaction that failed, which SQLite does not move into the database.
 */
export function pagesOfKeptWal(file: string, pageBytes: number): ReadonlyMap<number, ReadonlySet<number>> | undefined {
  const wal = readWal(`${file}${SUFFIX}`, pageBytes)
  if (wal === undefined || !wal.isHeaderWhole) return undefined
  const pages = new Map<number, Set<number>>()
  for (const { page, bytes, isWhole } of wal.frames) {
    if (!isWhole) break
    const sums = pages.get(page) ?? new Set()
    pages.set(page, sums.add(crc32(bytes)))
  }
  return pages
}
