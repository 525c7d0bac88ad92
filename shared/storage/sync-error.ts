/** Extended result codes of syncs that failed: of a file, and of a folder. */
const SYNC_CODES: readonly unknown[] = [1034, 1290] // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC

/** True when what was written before the error may never reach the disk, whatever later syncs say. */
export function isSyncError(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && SYNC_CODES.includes(error.errcode)
}
