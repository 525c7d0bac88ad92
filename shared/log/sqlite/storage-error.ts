import { SluiceError } from '../../errors.ts'
import { hasNoSpace } from '../../storage/space-probe.ts'
import { resultCodeOf, storageFault } from '../../storage/storage-fault.ts'

/**
 * What an error of SQLite or of the file system means: one of `disk_full`, `data_locked`, `data_unwritable`,
 * `log_corrupt`, else `log_unavailable`. `reached` is the length of the file that was written to.
 */
export function storageError(error: unknown, folder: string, what: string, reached = 0): SluiceError {
  if (error instanceof SluiceError) return error
  const fault = storageFault(error)
  const known = fault === 'corrupt' ? 'log_corrupt' : fault
  const message = error instanceof Error ? error.message : String(error)
  // SQLite hides some reasons: ask again.
  const isCertain = known !== undefined && known !== 'data_unwritable'
  const code = isCertain ? known : hasNoSpace(folder, reached) ? 'disk_full' : (known ?? 'log_unavailable')
  const result = resultCodeOf(error)
  return new SluiceError(code, `${what}: ${message}${result === undefined ? '' : ` (SQLite ${result})`}`, {
    cause: error,
  })
}
