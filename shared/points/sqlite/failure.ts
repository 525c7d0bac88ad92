import { SluiceError, type ErrorCode } from '../../errors.ts'

/** Primary result codes of SQLite, https://www.sqlite.org/rescode.html */
const SQLITE_CODES: Readonly<Record<number, ErrorCode>> = {
  3: 'data_unwritable', // SQLITE_PERM
  5: 'data_locked', // SQLITE_BUSY
  8: 'data_unwritable', // SQLITE_READONLY
  11: 'store_corrupt', // SQLITE_CORRUPT
  13: 'disk_full', // SQLITE_FULL
  14: 'data_unwritable', // SQLITE_CANTOPEN
  26: 'store_corrupt', // SQLITE_NOTADB
}

const SYSTEM_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EACCES: 'data_unwritable',
  EPERM: 'data_unwritable',
  EROFS: 'data_unwritable',
  ENOTDIR: 'data_unwritable',
  EEXIST: 'data_unwritable',
  ENOENT: 'data_unwritable',
}

/** What went wrong at the databases or the file system, as one of our codes; `store_unavailable` when it is none. */
export function toStoreError(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new SluiceError(codeOf(error), message, { cause: error })
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof RangeError) return 'store_corrupt'
  if (typeof error !== 'object' || error === null) return 'store_unavailable'
  if ('errcode' in error && typeof error.errcode === 'number') {
    return SQLITE_CODES[error.errcode & 0xff] ?? 'store_unavailable'
  }
  if ('code' in error && typeof error.code === 'string') return SYSTEM_CODES[error.code] ?? 'store_unavailable'
  return 'store_unavailable'
}
