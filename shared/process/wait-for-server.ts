import { BACKOFF, backoffMs, pause } from '../backoff.ts'
import { SluiceError, toSluiceError, type ErrorCode } from '../errors.ts'
import type { Logger } from './logger.ts'

/** How a process that opens something hears of what it waits for. */
export interface Waiting {
  /** Ends the waiting; opening then rejects with `closed`. */
  readonly signal?: AbortSignal | undefined
  /** Told why, after each attempt that failed, and undefined when one succeeded. */
  readonly onWaiting?: ((reason: SluiceError | undefined) => void) | undefined
}

interface UntilReachedOptions extends Waiting {
  /** For the log. */
  readonly what: string
  /** Errors that somebody has to mend outside of this process, and that are waited for, too. */
  readonly alsoWaitFor?: readonly ErrorCode[]
  readonly logger: Logger
}

/**
 * Opens what a server has, for ever again while it cannot be reached: a process that waits is seen to wait, and one that
 * ends would only be started again. Errors: `closed` once the signal is aborted, and at once those that waiting cannot
 * mend.
 */
export async function untilReached<T>(attempt: () => Promise<T>, options: UntilReachedOptions): Promise<T> {
  const { what, signal, onWaiting, alsoWaitFor = [], logger } = options
  for (let attempts = 1; ; attempts++) {
    if (signal?.aborted === true) throw new SluiceError('closed', `stopped while waiting for ${what}`)
    try {
      const result = await attempt()
      onWaiting?.(undefined)
      return result
    } catch (error) {
      const failure = toSluiceError(error)
      if (failure.code === 'closed' || !(failure.canRetry || alsoWaitFor.includes(failure.code))) throw failure
      logger.warn({ code: failure.code, attempts, reason: failure.message }, `${what} is not ready yet; retrying`)
      onWaiting?.(failure)
      await pause(Math.max(backoffMs(BACKOFF.start, attempts), failure.retryAfterMs ?? 0), signal)
    }
  }
}
