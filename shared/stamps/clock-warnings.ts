import { deadLetterToRecord } from '../dead-letter.ts'
import { toSluiceError, type ErrorCode } from '../errors.ts'
import type { TelemetryLog } from '../log/port.ts'
import type { Logger } from '../process/logger.ts'
import { oncePer, TELL_EVERY_MS } from '../process/once-per.ts'

export interface ClockWarningsOptions {
  readonly log: Pick<TelemetryLog, 'append'>
  /** The name of this process. */
  readonly node: string
  readonly logger: Logger
  readonly now: () => number
  readonly steady: () => number
}

/** A warning is told in `/readyz` for so long. */
const TOLD_MS = 24 * 3_600_000
/** Warnings that wait for the log. */
const MAX_WAITING = 16

/** What was wrong with the clock: logged, listed among the dead letters, and told in `/readyz`. */
export class ClockWarnings {
  readonly #options: ClockWarningsOptions
  readonly #mayTell = oncePer(TELL_EVERY_MS)
  #last: { readonly text: string; readonly at: number } | undefined
  #letters: { readonly code: ErrorCode; readonly detail: string; readonly ms: number }[] = []

  constructor(options: ClockWarningsOptions) {
    this.#options = options
  }

  /** The last one, for a day. */
  get told(): string | undefined {
    return this.#last !== undefined && this.#options.steady() - this.#last.at < TOLD_MS ? this.#last.text : undefined
  }

  add(code: ErrorCode, detail: string, facts: Readonly<Record<string, number>>): void {
    const { logger, now, steady } = this.#options
    logger.error({ code, ...facts }, detail)
    this.#last = { text: detail, at: steady() }
    this.#letters = [...this.#letters, { code, detail, ms: Math.max(0, now()) }].slice(-MAX_WAITING)
    void this.write()
  }

  /** Never rejects: what the log does not take is tried again with the next call. */
  async write(): Promise<void> {
    const { log, node, logger } = this.#options
    const letters = this.#letters
    if (letters.length === 0) return
    this.#letters = []
    try {
      const records = letters.map(({ code, detail, ms }) => {
        const at = { ms, ns: 0, firstFailedMs: ms, attempts: 1, source: undefined, payload: new Uint8Array(0) }
        return deadLetterToRecord({ stage: 'clock', code, detail, who: node, topic: undefined, key: node, ...at })
      })
      await log.append('telemetry.dead-letter', records)
    } catch (error) {
      const { code } = toSluiceError(error)
      if (this.#mayTell(code)) logger.warn({ code }, 'a warning about the clock could not be written to the log')
      this.#letters = [...letters, ...this.#letters].slice(-MAX_WAITING)
    }
  }
}
