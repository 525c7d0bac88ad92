import { resultCodeOf } from './storage-fault.ts'

/** Extended result codes of syncs that failed: of a file, and of a folder. */
const SYNC_CODES: readonly number[] = [1034, 1290] // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC

/** True when what was written before the error may never reach the disk, whatever later syncs say. */
export function isSyncError(error: unknown): boolean {
  const code = resultCodeOf(error)
  return code !== undefined && SYNC_CODES.includes(code)
}
