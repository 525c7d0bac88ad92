import { once } from 'node:events'
import type { Redis } from 'ioredis'
import { BACKOFF, backoffMs } from '../backoff.ts'
import { SluiceError, toSluiceError } from '../errors.ts'
import type { Logger } from '../process/logger.ts'
import type { Metrics } from '../process/metrics.ts'
import { redisMetrics, type RedisMetrics } from './metrics.ts'
import { checkPolicy, type RedisRole } from './policy.ts'

export interface RedisAvailabilityOptions {
  /** Not connected yet. The server is asked on the first one; it is up when all of them are. */
  readonly clients: readonly [Redis, ...Redis[]]
  readonly role: RedisRole
  readonly logger: Logger
  readonly metrics: Metrics
  /** How long the start waits for the server before it goes on without. */
  readonly startTimeoutMs: number
  /** What connections need before they are used. When it rejects, the server is down. */
  readonly prepare?: () => Promise<unknown>
  /** The server is up, for the first time or again. */
  readonly onUp: () => void
}

/** After a command without an answer nobody asks for this long: a server that hangs costs one caller its timeout, not all. */
const PAUSE_MS = 1_000

/**
 * Whether one Redis can be asked:
 *
 *     down -> (all connections ready and prepared, PING answered) -> up -> (a connection lost, PING not answered) -> down
 *
 * and not for a second after a command without an answer. A server that only hung comes back without a new connection,
 * so it is asked again and again. Each time it comes up it is held against the policy of its role: it may be another one.
 */
export class RedisAvailability {
  readonly #options: RedisAvailabilityOptions
  readonly #metrics: RedisMetrics
  /** On the monotonic clock: nobody asks before. */
  #pausedUntil = -Infinity
  #isUp = false
  #isOpening = false
  #isClosed = false
  /** One warning for each outage. */
  #isReported = false
  #misconfigured: SluiceError | undefined
  #again: NodeJS.Timeout | undefined

  constructor(options: RedisAvailabilityOptions) {
    this.#options = options
    this.#metrics = redisMetrics(options.metrics, options.role)
    for (const client of options.clients) {
      client.on('error', (error: Error) => this.#down(error))
      client.on('close', () => this.#down(new Error('the connection was closed')))
      client.on('ready', () => {
        if (!this.#isOpening) void this.settle()
      })
    }
  }

  get isUp(): boolean {
    return this.#isUp && !this.#isClosed && performance.now() >= this.#pausedUntil
  }

  /** The server that answered last has a memory policy that is wrong for its role. */
  get isMisconfigured(): boolean {
    return this.#misconfigured !== undefined
  }

  /** Connects, and waits for the server, but not long: one that is down is waited for later. Error: `redis_misconfigured`. */
  async open(): Promise<void> {
    const { clients, startTimeoutMs } = this.#options
    this.#isOpening = true
    const late = AbortSignal.timeout(startTimeoutMs)
    const ready = clients.map((client) => Promise.race([client.connect(), once(client, 'ready', { signal: late })]))
    try {
      await Promise.all(ready)
      await this.settle()
    } catch (error) {
      this.#down(error)
    } finally {
      this.#isOpening = false
    }
    if (this.#misconfigured !== undefined) throw this.#misconfigured
  }

  /** Runs a command; one without an answer pauses all others. Errors: those of the command. */
  async ask<T>(command: () => Promise<T>): Promise<T> {
    const begun = performance.now()
    try {
      const answer = await command()
      this.#metrics.answered((performance.now() - begun) / 1000)
      return answer
    } catch (error) {
      this.#metrics.failed((performance.now() - begun) / 1000)
      if (!isReply(error)) {
        this.#pausedUntil = performance.now() + PAUSE_MS
        this.#settleLater()
      }
      throw error
    }
  }

  /** Prepares the connections and looks whether the server is up. Never rejects. */
  async settle(): Promise<void> {
    if (!this.#isReady) return
    const { prepare, role, logger, onUp } = this.#options
    try {
      await prepare?.()
      await this.#ping()
      if (!this.#isUp) await this.#checkPolicy()
    } catch (error) {
      this.#down(error)
      return
    }
    const isRefused = this.#isOpening && this.#misconfigured !== undefined
    if (this.#isUp || isRefused || !this.#isReady) return
    this.#isUp = true
    this.#isReported = false
    this.#pausedUntil = -Infinity
    logger.info({ role }, 'Redis answers')
    onUp()
  }

  /** Nothing is asked or told any more. The connections are closed by their owner. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#again)
  }

  get #isReady(): boolean {
    return !this.#isClosed && this.#options.clients.every(({ status }) => status === 'ready')
  }

  /** A server that works answers it; one that loads its data says so, and one that hangs nothing. */
  async #ping(): Promise<void> {
    try {
      await this.#options.clients[0].ping()
    } catch (error) {
      // A login that may not ask has been answered.
      if (!isReply(error) || !error.message.startsWith('NOPERM')) throw error
    }
  }

  async #checkPolicy(): Promise<void> {
    const { clients, role, logger } = this.#options
    try {
      await checkPolicy(clients[0], role, logger)
      this.#misconfigured = undefined
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      this.#misconfigured = error
      if (!this.#isOpening) logger.error({ role, detail: error.message }, 'Redis is not configured for its role')
    }
  }

  #down(error: unknown): void {
    if (this.#isClosed) return
    const { role, logger } = this.#options
    const level = this.#isReported ? 'debug' : 'warn'
    this.#isReported = true
    this.#isUp = false
    logger[level]({ role, detail: toSluiceError(error).message }, 'Redis is unreachable')
    this.#settleLater()
  }

  #settleLater(): void {
    if (this.#isClosed) return
    const again = (): void => {
      this.#again = undefined
      void this.settle()
    }
    this.#again ??= setTimeout(again, backoffMs(BACKOFF.redisPing, 1)).unref()
  }
}

/** The server answered, and that was an error: the connection is well. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}
