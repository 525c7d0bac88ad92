import { checkDatabase, checkSums, type FileCheck } from '../../storage/file-check.ts'
import { formatOf, type StoreFormat } from '../../storage/file-format.ts'
import { sizeOf } from '../../storage/folders.ts'
import { isLastTorn } from '../../storage/wal.ts'
import { MIGRATIONS } from '../sql/migrate.ts'

/** Of a database that was made with SQLite's default. */
const PAGE_BYTES = 4096

/**
 * Reads the files of a registry that nobody has open, and changes nothing: the checksums of its pages and of its WAL, and
 * the structure of the whole. Nothing when there is no registry.
 */
export function* verifyRegistry(file: string): Generator<FileCheck> {
  if (['', '-wal', '-sums'].every((suffix) => sizeOf(`${file}${suffix}`) === 0)) return
  const sums = checkSums(file)
  yield sums
  if (sums.flaws.length > 0) return
  const options = { pageBytes: PAGE_BYTES, version: Number.MAX_SAFE_INTEGER, isTorn: isLastTorn }
  yield checkDatabase(file, options, () => {})
}

/** How many migrations a registry has seen that nobody has open. Throws what SQLite says. */
export function registryFormat(file: string): StoreFormat {
  return formatOf(file, MIGRATIONS.length, (db) => {
    const tables = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'kysely_migration'").all()
    return tables.length === 0 ? 0 : db.prepare('SELECT name FROM kysely_migration').all().length
  })
}
