import { setTimeout as sleep } from 'node:timers/promises'
import { toSluiceError } from '../../../shared/errors.ts'

/** A server that is restarted is back by then; after that somebody should look, and another run goes on here. */
const GIVE_UP_AFTER_MS = 120_000
const PAUSE_MS = { first: 100, most: 5_000 }

/**
 * Runs work that may be repeated until it succeeds, the error is not one that passes, it went on for two minutes, or the
 * signal is aborted. Errors: those of the work.
 */
export async function persist<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const end = performance.now() + GIVE_UP_AFTER_MS
  for (let wait = PAUSE_MS.first; ; wait = Math.min(PAUSE_MS.most, wait * 2)) {
    try {
      return await work()
    } catch (error) {
      const { canRetry, code, retryAfterMs = 0 } = toSluiceError(error)
      if (!canRetry || code === 'closed' || signal.aborted || performance.now() > end) throw error
      await sleep(Math.max(wait, retryAfterMs))
    }
  }
}
