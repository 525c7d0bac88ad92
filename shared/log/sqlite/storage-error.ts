import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type ErrorCode, SluiceError } from '../../errors.ts'

/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html) that mean one thing for us. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  3: 'data_unwritable', // SQLITE_PERM
  5: 'data_locked', // SQLITE_BUSY
  8: 'data_unwritable', // SQLITE_READONLY
  11: 'log_corrupt', // SQLITE_CORRUPT
  13: 'disk_full', // SQLITE_FULL
  14: 'data_unwritable', // SQLITE_CANTOPEN
  26: 'log_corrupt', // SQLITE_NOTADB
}

/** Errors of the system that mean: no more bytes fit. EFBIG is the file size limit of the process. */
const NO_SPACE: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG']

/** Errors of the system that mean: this place cannot be written by this user. */
const NO_ACCESS: readonly unknown[] = [
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EEXIST',
  'ENOENT',
  'ELOOP',
  'ENAMETOOLONG',
]

const PROBE_BYTES = 64 * 1024

/**
 * What an error of SQLite or of the file system means: one of `disk_full`, `data_locked`, `data_unwritable`,
 * `log_corrupt`, else `log_unavailable`. `reached` is the length of the file that was written to.
 */
export function storageError(error: unknown, folder: string, what: string, reached = 0): SluiceError {
  if (error instanceof SluiceError) return error
  const result = errorField(error, 'errcode')
  const primary = typeof result === 'number' ? result & 0xff : undefined
  const known = primary === undefined ? systemCode(error) : CODES[primary]
  const code = known === 'disk_full' || known === 'log_corrupt' || known === 'data_locked' ? known : undefined
  const message = error instanceof Error ? error.message : String(error)
  // SQLite says "I/O error" or "cannot open" for a quota, a size limit and a file that could not be made: ask again.
  const found = code ?? (hasNoSpace(folder, reached) ? 'disk_full' : (known ?? 'log_unavailable'))
  return new SluiceError(found, `${what}: ${message}${primary === undefined ? '' : ` (SQLite ${String(result)})`}`, {
    cause: error,
  })
}

function systemCode(error: unknown): ErrorCode | undefined {
  const code = errorField(error, 'code')
  if (NO_SPACE.includes(code)) return 'disk_full'
  return NO_ACCESS.includes(code) ? 'data_unwritable' : undefined
}

function errorField(error: unknown, name: 'code' | 'errcode'): unknown {
  return error instanceof Error && name in error
    ? (error as Error & { [key in typeof name]?: unknown })[name]
    : undefined
}

/** Writes a little at the same place of a scratch file, because the system's own error number is hidden by SQLite. */
function hasNoSpace(folder: string, reached: number): boolean {
  const file = join(folder, 'space-probe')
  try {
    const descriptor = openSync(file, 'w')
    try {
      writeSync(descriptor, Buffer.alloc(PROBE_BYTES, 1), 0, PROBE_BYTES, reached)
    } finally {
      closeSync(descriptor)
      rmSync(file)
    }
    return false
  } catch (error) {
    return NO_SPACE.includes(errorField(error, 'code'))
  }
}
