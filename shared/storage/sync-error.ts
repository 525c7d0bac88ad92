import { resultCodeOf } from './storage-fault.ts'

const IO_ERROR = 10
/** Extended result codes of reads that failed: SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ. */
const READ_CODES: readonly number[] = [266, 522]

/** Extended result codes of syncs that failed: of a file, and of a folder. */
const SYNC_CODES: readonly number[] = [1034, 1290] // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC

/** True when what was written before the error may never reach the disk, whatever later syncs say. */
export function isSyncError(error: unknown): boolean {
  const code = resultCodeOf(error)
  return code !== undefined && SYNC_CODES.includes(code)
}

/**
 * True when a write or a sync failed: what the disk holds of the transaction is not known. A full disk is no such error,
 * but SQLite says the same of some quotas (see `hasNoSpace`).
 */
export function isWriteError(error: unknown): boolean {
  const code = resultCodeOf(error)
  return code !== undefined && (code & 0xff) === IO_ERROR && !READ_CODES.includes(code)
}
