import { Counter } from 'prom-client'
import { deadLetterToRecord, KEPT_PAYLOAD_BYTES, type DeadLetter } from '../../shared/dead-letter.ts'
import { toSluiceError } from '../../shared/errors.ts'
import type { ApiParts } from './api.ts'

type RefusedReadingsOptions = ApiParts<'log' | 'stamp' | 'logger' | 'metrics'>

/** Kept per second in the long run, and at once: as many as the broker keeps. */
const PER_SECOND = 10
const BURST = 100
/** Letters that wait for the log, below 8 KiB each. */
const MAX_WAITING = 64

/**
 * Readings posted for a device that nobody made, kept as the broker keeps them: as a dead letter, by which the device is
 * listed as pending. Whoever posts them is answered at once, whatever becomes of the letter.
 */
export class RefusedReadings {
  readonly #options: RefusedReadingsOptions
  readonly #dropped: Counter
  #tokens = BURST
  #refilledAt = performance.now()
  #waiting = 0

  constructor(options: RefusedReadingsOptions) {
    this.#options = options
    this.#dropped = new Counter({
      name: 'sluice_http_refusals_not_kept_total',
      help: 'Readings posted for unknown devices that were refused and not kept as dead letters: too many, or no log',
      registers: [options.metrics],
    })
  }

  /** Resolves and rejects as `work` does; keeps a letter when that says that there is no such device. */
  async watch<T>(work: Promise<T>, letter: Pick<DeadLetter, 'who' | 'topic' | 'key' | 'payload'>): Promise<T> {
    try {
      return await work
    } catch (error) {
      const { code, message: detail } = toSluiceError(error)
      if (code === 'device_unknown') this.keep({ ...letter, code, detail })
      throw error
    }
  }

  /** Keeps a letter of something that is refused, cut to what is kept of such, unless there are too many. */
  keep(letter: Pick<DeadLetter, 'code' | 'detail' | 'who' | 'topic' | 'key' | 'payload'>): void {
    if (this.#waiting >= MAX_WAITING || !this.#takeToken()) return this.#dropped.inc()
    const payload = letter.payload.slice(0, KEPT_PAYLOAD_BYTES)
    const stamp = this.#options.stamp(1)
    const at = { ...stamp, firstFailedMs: stamp.ms, attempts: 1, source: undefined }
    void this.#append({ ...letter, stage: 'publish', payload, ...at })
  }

  async #append(letter: DeadLetter): Promise<void> {
    const { log, logger } = this.#options
    this.#waiting += 1
    try {
      await log.append('telemetry.dead-letter', [deadLetterToRecord(letter)])
    } catch (error) {
      this.#dropped.inc()
      logger.debug({ code: toSluiceError(error).code }, 'a refusal could not be written to the log')
    } finally {
      this.#waiting -= 1
    }
  }

  #takeToken(): boolean {
    const now = performance.now()
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#refilledAt) / 1000) * PER_SECOND)
    this.#refilledAt = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
