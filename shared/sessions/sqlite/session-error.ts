import { SluiceError, type ErrorCode } from '../../errors.ts'
import { storageFault } from '../../storage/storage-fault.ts'
import { hasNoSpace } from '../../storage/space-probe.ts'
import { isSyncError, isWriteError } from '../../storage/sync-error.ts'
import { dirname } from 'node:path'

/**
 * What an error of SQLite or of the file system means: `storage_failed` when what the disk holds is not known any more, else `disk_full`,
 * `data_locked`, `data_unwritable`, `data_corrupt`.
 */
export function sessionError(error: unknown, file: string): SluiceError {
  if (error instanceof SluiceError) return error
  const fault = storageFault(error)
  const known: ErrorCode = fault === 'corrupt' ? 'data_corrupt' : (fault ?? 'data_unwritable')
  const failed = (): ErrorCode => (!isSyncError(error) && hasNoSpace(dirname(file)) ? 'disk_full' : 'storage_failed')
  const code = isWriteError(error) ? failed() : known
  const message = error instanceof Error ? error.message : String(error)
  return new SluiceError(code, `${file}: ${message}`, { cause: error })
}
