import { dirname } from 'node:path'
import { SluiceError, type ErrorCode } from '../../errors.ts'
import { hasNoSpace } from '../../storage/space-probe.ts'
import { storageFault } from '../../storage/storage-fault.ts'
import { isSyncError, isWriteError } from '../../storage/sync-error.ts'

/**
 * What an error of SQLite or of the file system means: `storage_failed` when what the disk holds is not known any more, else
 * `disk_full`, `data_locked`, `data_unwritable`, `data_corrupt`.
 */
export function sessionError(error: unknown, file: string): SluiceError {
  if (error instanceof SluiceError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new SluiceError(codeOf(error, file), `${file}: ${message}`, { cause: error })
}

function codeOf(error: unknown, file: string): ErrorCode {
  if (isWriteError(error)) return !isSyncError(error) && hasNoSpace(dirname(file)) ? 'disk_full' : 'storage_failed'
  // A sync that is not SQLite's: of the WAL that is put on the disk at a start.
  if (error instanceof Error && 'code' in error && error.code === 'EIO') return 'storage_failed'
  const fault = storageFault(error)
  return fault === 'corrupt' ? 'data_corrupt' : (fault ?? 'data_unwritable')
}
