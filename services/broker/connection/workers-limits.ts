import { toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { FIELDS_LIMIT, type DeviceLimitRecord, type Presence } from '../../../shared/registry/presence-port.ts'
import { topicOfDevice } from '../../../shared/topics.ts'
import { noticeOf } from '../access/limit-reports.ts'

/** How soon a device hears of it. */
const ASK_EVERY_MS = 2_000
/** Writers lag behind their own times: what they wrote last is asked for again, and not told twice. */
const OVERLAP_MS = 15_000
/** A device is told of a limit at most so often. */
const TELL_EVERY_MS = 60_000
/** Notices for each time that is asked: a courtesy, not a load of its own. */
const MAX_NOTICES = 100

/**
 * Tells devices of the limits that workers note in the registry: on every node, because a worker does not know where a
 * device is connected. Where it is not nobody is subscribed.
 */
export class WorkersLimits {
  readonly #presence: Pick<Presence, 'limitsAfter'>
  readonly #tell: (topic: string, payload: Buffer) => void
  readonly #logger: Logger
  readonly #timer: NodeJS.Timeout
  /** When each was told; bounded by what is told in the time for which it is kept. */
  readonly #told = new Map<string, number>()
  #afterMs = Date.now() - OVERLAP_MS
  #asking: Promise<void> | undefined

  constructor(options: {
    readonly presence: Pick<Presence, 'limitsAfter'>
    readonly tell: (topic: string, payload: Buffer) => void
    readonly logger: Logger
  }) {
    this.#presence = options.presence
    this.#tell = options.tell
    this.#logger = options.logger
    this.#timer = setInterval(() => void this.ask(), ASK_EVERY_MS)
  }

  /** One question at a time. Never rejects. */
  ask(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#asking
  }

  async #ask(): Promise<void> {
    try {
      const limits = await this.#presence.limitsAfter(FIELDS_LIMIT, this.#afterMs)
      this.#afterMs = Math.max(this.#afterMs, (limits.at(-1)?.lastMs ?? 0) - OVERLAP_MS)
      this.#tellAll(limits)
    } catch (error) {
      this.#logger.debug({ code: toSluiceError(error).code }, 'limits that workers noted are not known')
    }
  }

  #tellAll(limits: readonly DeviceLimitRecord[]): void {
    const now = performance.now()
    for (const [topic, at] of this.#told) if (now - at >= TELL_EVERY_MS) this.#told.delete(topic)
    let count = 0
    for (const { tenant, device, code, limit, sinceMs } of limits) {
      const topic = `${topicOfDevice(tenant, device)}/notice`
      if (count >= MAX_NOTICES || this.#told.has(topic)) continue
      count += 1
      this.#told.set(topic, now)
      this.#tell(topic, noticeOf({ code, limit, sinceMs }))
    }
  }
}
