import { toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'

/** Interval of the sweep for expired sessions. */
const SWEEP_MS = 1_000

/**
 * Ends sessions of MQTT 5 that outlive their connection for some time only, on the only node: they are in its memory, as
 * this is. Nodes that share sessions keep it with these.
 */
export class SessionExpiry {
  readonly #discard: (clientId: string, isLeaving: boolean) => Promise<void>
  readonly #logger: Logger
  readonly #now: () => number
  /** Milliseconds by client id, in the order in which they were noted. */
  readonly #deadlines = new Map<string, number>()
  readonly #sweep: NodeJS.Timeout

  constructor(
    discard: (clientId: string, isLeaving: boolean) => Promise<void>,
    logger: Logger,
    now: () => number = () => performance.now(),
  ) {
    this.#discard = discard
    this.#logger = logger
    this.#now = now
    this.#sweep = setInterval(() => void this.sweep(), SWEEP_MS).unref()
  }

  /** Sessions that will end. */
  get size(): number {
    return this.#deadlines.size
  }

  /** The client is back: whether its session goes on, as it does unless its time was up or it wants a new one. */
  async resume(clientId: string, wantsNew: boolean): Promise<boolean> {
    const deadline = this.#deadlines.get(clientId)
    this.#deadlines.delete(clientId)
    const goesOn = !wantsNew && (deadline === undefined || deadline > this.#now())
    if (!goesOn) await this.#discard(clientId, false)
    return goesOn
  }

  /** The connection has ended, and the session is to end `seconds` later; undefined when it is not. Never rejects. */
  async end(clientId: string, seconds: number | undefined): Promise<void> {
    if (seconds === undefined) return
    if (seconds > 0) this.#deadlines.set(clientId, this.#now() + seconds * 1000)
    else await this.#discardLogged(clientId, true)
  }

  /** Ends what is due. Never rejects. */
  async sweep(): Promise<void> {
    const now = this.#now()
    for (const [clientId, deadline] of this.#deadlines) {
      if (deadline > now) continue
      this.#deadlines.delete(clientId)
      await this.#discardLogged(clientId, false)
    }
  }

  close(): void {
    clearInterval(this.#sweep)
  }

  async #discardLogged(clientId: string, isLeaving: boolean): Promise<void> {
    try {
      await this.#discard(clientId, isLeaving)
    } catch (error) {
      this.#logger.warn({ code: toSluiceError(error).code, client: clientId }, 'a session could not be ended')
    }
  }
}
