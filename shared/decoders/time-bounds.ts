import type { Instant } from '../telemetry.ts'

/** Times before this are those of a clock that counts from when it was switched on: 1971-01-01T00:00:00Z. */
export const NOT_SET_BEFORE_MS = 31_536_000_000
/** Times before this are stored, and doubted: 2000-01-01T00:00:00Z. */
export const SUSPECT_BEFORE_MS = 946_684_800_000
/** Times further ahead of the receive time are those of a clock that is wrong. */
export const MAX_AHEAD_MS = 24 * 3_600_000

/**
 * The nearest time that is taken, of a reading that was received at `stamp`: a day ahead, or in 2000. So far behind the beginning
 * of that as it came after the beginning of its year: else all that a clock says which stands still would be one point.
 */
export function clampedTime(code: 'time_ahead' | 'time_ancient', { ms, ns }: Instant): Instant {
  const year = Date.UTC(new Date(ms).getUTCFullYear(), 0)
  return { ms: code === 'time_ahead' ? ms + MAX_AHEAD_MS : SUSPECT_BEFORE_MS + ms - year, ns }
}
