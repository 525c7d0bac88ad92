import { pause } from '../../backoff.ts'
import type { Logger } from '../../process/logger.ts'
import type { DeleteRange } from '../port.ts'

export interface ExpiryOptions {
  readonly everyMs: number
  /** Tenants whose points expire and whose last deletion began before a moment, in ms since 1970. */
  readonly due: (before: number) => Promise<readonly { tenant: string; keepMs: number }[]>
  /** Tells other processes that the deletion of a tenant begins. */
  readonly begun: (tenant: string, atMs: number) => Promise<void>
  readonly delete: (range: DeleteRange) => Promise<void>
  readonly logger: Logger
}

/**
 * Deletes what is past the retention of its tenant, now and then. Several processes may do this: each looks whether
 * another has just done it, and done twice it does no harm.
 */
export class Expiry {
  readonly #options: ExpiryOptions
  readonly #ending = new AbortController()
  readonly #running: Promise<void>

  constructor(options: ExpiryOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** Resolves when the round that runs is done. */
  close(): Promise<void> {
    this.#ending.abort()
    return this.#running
  }

  async #run(): Promise<void> {
    const { everyMs, logger } = this.#options
    const { signal } = this.#ending
    while (!signal.aborted) {
      try {
        await this.#round()
      } catch (error) {
        if (!signal.aborted) logger.warn({ err: error }, 'expired points were not deleted; retrying')
      }
      await pause(everyMs, signal)
    }
  }

  async #round(): Promise<void> {
    const { everyMs, due, begun } = this.#options
    const now = Date.now()
    for (const { tenant, keepMs } of await due(now - everyMs / 2)) {
      await begun(tenant, now)
      await this.#options.delete({ tenant, to: { ms: Math.max(0, now - keepMs), ns: 0 } })
    }
  }
}

/** The pause ends early: nothing more is to be done. */
