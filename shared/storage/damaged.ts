import { existsSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncFolder } from './folders.ts'

/** What SQLite keeps beside a database. */
export const DATABASE_SUFFIXES = ['-wal', '-journal', ''] as const
/** With what we keep beside some, which says what their pages are. */
export const SUMMED_SUFFIXES = ['-wal-link', '-sums', ...DATABASE_SUFFIXES] as const

/**
 * Keeps a database that cannot be used as it is under another name, with what is kept beside it, which goes first:
 * alone it would be taken for that of a later file. Returns the new name.
 */
export function keepDamaged(file: string): string {
  let kept = `${file}.damaged`
  for (let n = 2; DATABASE_SUFFIXES.some((suffix) => existsSync(`${kept}${suffix}`)); n++) kept = `${file}.damaged-${n}`
  for (const suffix of SUMMED_SUFFIXES) {
    if (existsSync(`${file}${suffix}`)) renameSync(`${file}${suffix}`, `${kept}${suffix}`)
  }
  syncFolder(dirname(file))
  return kept
}
