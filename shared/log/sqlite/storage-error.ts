import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../errors.ts'
import { resultCodeOf, storageFault } from '../../storage/storage-fault.ts'

const PROBE_BYTES = 64 * 1024

/**
 * What an error of SQLite or of the file system means: one of `disk_full`, `data_locked`, `data_unwritable`,
 * `log_corrupt`, else `log_unavailable`. `reached` is the length of the file that was written to.
 */
export function storageError(error: unknown, folder: string, what: string, reached = 0): SluiceError {
  if (error instanceof SluiceError) return error
  const fault = storageFault(error)
  const known = fault === 'corrupt' ? 'log_corrupt' : fault
  const message = error instanceof Error ? error.message : String(error)
  // SQLite says "I/O error" or "cannot open" for a quota, a size limit and a file that could not be made: ask again.
  const isCertain = known !== undefined && known !== 'data_unwritable'
  const code = isCertain ? known : hasNoSpace(folder, reached) ? 'disk_full' : (known ?? 'log_unavailable')
  const result = resultCodeOf(error)
  return new SluiceError(code, `${what}: ${message}${result === undefined ? '' : ` (SQLite ${result})`}`, {
    cause: error,
  })
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
    return storageFault(error) === 'disk_full'
  }
}
