import { BACKOFF, backoffMs, pause } from '../../../shared/backoff.ts'
import { toSluiceError } from '../../../shared/errors.ts'

/** A server that is restarted is back by then; after that somebody should look, and another run goes on here. */
const GIVE_UP_AFTER_MS = 120_000

/** Codes that another attempt does not help: one that follows `store_rewound` would hide the loss. */
const ENDS: ReadonlySet<string> = new Set(['closed', 'store_rewound'])

/**
 * Runs work that may be repeated until it succeeds, the error is not one that passes, it went on for two minutes, or the
 * signal is aborted. Errors: those of the work.
 */
export async function persist<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const end = performance.now() + GIVE_UP_AFTER_MS
  for (let failures = 1; ; failures += 1) {
    try {
      return await work()
    } catch (error) {
      const { canRetry, code, retryAfterMs = 0 } = toSluiceError(error)
      if (!canRetry || ENDS.has(code) || signal.aborted || performance.now() > end) throw error
      await pause(Math.max(backoffMs(BACKOFF.migration, failures), retryAfterMs), signal)
    }
  }
}
