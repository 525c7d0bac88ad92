/** A device whose messages are noted on their way, until then. */
export interface Watch {
  readonly tenant: string
  readonly uid: string
  /** Whole milliseconds since 1970, exclusive. */
  readonly untilMs: number
  readonly who: string
}

/** Devices under watch at once: each of their messages is written a little longer, and looked for by workers. */
export const MAX_WATCHES = 16
export const MAX_WATCH_MS = 3_600_000

/**
 * Which devices are under watch. Every process has them in memory; what others change it knows within about a second. Errors
 * as of `Registry`.
 */
export interface Watches {
  /** Grows with every change: what was made of `untilMs` is to be made anew. */
  readonly epoch: number
  /** When the watch of the device ends, in ms since 1970; 0 where there is none. */
  untilMs(tenant: string, uid: string): number
  /** Those that have not ended. */
  list(nowMs: number): readonly Watch[]
  /**
   * Puts a device under watch, or moves the end of its watch, to now to end it. Known to this process when it resolves. Error:
   * `rate_limited` when there are {@link MAX_WATCHES} of others.
   */
  put(watch: Watch): Promise<void>
}
