import { SluiceError, type ErrorCode } from '../../errors.ts'
import type { Failure } from '../../process/thread-client.ts'
import { storageFault } from '../../storage/storage-fault.ts'
import { Damage } from './damage.ts'

/** What went wrong at the databases or the file system, as one of our codes; `store_unavailable` when it is none. */
export function toStoreError(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new SluiceError(codeOf(error), message, { cause: error })
}

function codeOf(error: unknown): ErrorCode {
  const fault = error instanceof RangeError || error instanceof Damage ? 'corrupt' : storageFault(error)
  return fault === 'corrupt' ? 'store_corrupt' : (fault ?? 'store_unavailable')
}

/** The same as it crosses to the main thread. */
export function toFailure(error: unknown): Failure {
  const { code, message } = toStoreError(error)
  return { code, message }
}
