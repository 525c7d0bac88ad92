import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Redis } from 'ioredis'
import { SluiceError, toSluiceError } from '../errors.ts'
import type { Logger } from '../process/logger.ts'
import { gaugeOf, type Metrics } from '../process/metrics.ts'
import { redisClient, type RedisUrl } from '../redis/connection.ts'
import { checkPolicy } from '../redis/policy.ts'

export interface RedisLinkOptions {
  readonly url: RedisUrl
  readonly logger: Logger
  readonly metrics: Metrics
}

/** A server that answers later than this is taken for down: a client waits for a CONNECT that long. */
const COMMAND_TIMEOUT_MS = 2_000
/** After a command without an answer nobody asks for this long: a server that hangs costs one caller a second, not all. */
const PAUSE_MS = 1_000
/** A connection on which nothing comes for this long although something was asked is given up. */
const SOCKET_TIMEOUT_MS = 5_000
/** How long the start waits for the server before it goes on without: telemetry does not need it. */
const START_TIMEOUT_MS = 5_000
/** Commands without an answer at once; a burst of CONNECTs beyond it is sent away, and comes again. */
const MAX_PENDING = 50_000

/** A Lua script; its text is sent once, then its hash. */
export interface Script {
  readonly text: string
  readonly sha: string
}

export type ScriptArgument = string | number | Buffer

export function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/**
 * The connections of one process to the Redis of sessions: one for commands, one that listens. While the server is away
 * every command fails at once with `redis_unavailable`; nothing waits for it, and both connections come back by
 * themselves. What a command that timed out did is not known: whatever is sent must bear a repetition.
 */
export class RedisLink {
  readonly #commands: Redis
  readonly #listener: Redis
  readonly #logger: Logger
  readonly #handlers = new Map<string, (message: Buffer) => void>()
  readonly #onUp = new Set<() => void>()
  /** Scripts whose text was sent on the present connection of commands. */
  readonly #sent = new Set<string>()
  /** On the monotonic clock: nobody asks before. */
  #pausedUntil = -Infinity
  #pending = 0
  #isUp = false
  #isMisconfigured = false
  #closed = false

  constructor({ url, logger, metrics }: RedisLinkOptions) {
    this.#logger = logger
    const common = {
      maxRetriesPerRequest: 0,
      connectTimeout: START_TIMEOUT_MS,
      commandTimeout: COMMAND_TIMEOUT_MS,
    }
    this.#commands = redisClient(url, 'sessions', logger, { ...common, socketTimeout: SOCKET_TIMEOUT_MS })
    // Nothing may come for hours here: the commands of the same server tell whether it lives.
    this.#listener = redisClient(url, 'sessions', logger, { ...common, autoResubscribe: false, keepAlive: 10_000 })
    for (const client of [this.#commands, this.#listener]) {
      client.on('error', (error: Error) => this.#down(error))
      client.on('close', () => this.#down(new Error('the connection was closed')))
      client.on('ready', () => void this.#settle())
    }
    // The server may be another one then.
    this.#commands.on('close', () => this.#sent.clear())
    this.#listener.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      this.#handlers.get(channel.toString())?.(message)
    })
    gaugeOf(metrics, 'sluice_sessions_redis_up', '1 while the session Redis answers', () => (this.isUp ? 1 : 0))
  }

  /** Both connections stand, channels are listened to, and the last command was answered. */
  get isUp(): boolean {
    return this.#isUp && !this.#closed && performance.now() >= this.#pausedUntil
  }

  /**
   * Waits for the server, but not long; goes on trying when it is away. Error: `redis_misconfigured`.
   */
  async open(): Promise<void> {
    const late = AbortSignal.timeout(START_TIMEOUT_MS)
    const clients = [this.#commands, this.#listener]
    const ready = clients.map((client) => Promise.race([client.connect(), once(client, 'ready', { signal: late })]))
    try {
      await Promise.all(ready)
      await checkPolicy(this.#commands, 'sessions', this.#logger)
      await this.#settle()
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'redis_misconfigured') throw error
      this.#down(error)
    }
  }

  /** Listens to a channel from now on, across reconnections. What is sent while the connection is away is lost. */
  async listen(channel: string, handler: (message: Buffer) => void): Promise<void> {
    this.#handlers.set(channel, handler)
    await this.#settle()
  }

  /** Called whenever the server is back, and with the first connection; channels are listened to again by then. */
  onUp(listener: () => void): () => void {
    this.#onUp.add(listener)
    return () => this.#onUp.delete(listener)
  }

  /** Runs one command. Error: `redis_unavailable`, also for what the server refuses. */
  async run<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    if (!this.isUp) throw new SluiceError('redis_unavailable', 'the Redis of sessions is away')
    if (this.#pending >= MAX_PENDING) throw new SluiceError('redis_unavailable', 'too many commands wait for Redis')
    this.#pending += 1
    try {
      return await command(this.#commands)
    } catch (error) {
      if (!isReply(error)) {
        this.#pausedUntil = performance.now() + PAUSE_MS
        setTimeout(() => void this.#settle(), PAUSE_MS).unref()
      }
      throw toSluiceError(error, 'redis_unavailable')
    } finally {
      this.#pending -= 1
    }
  }

  /**
   * Runs a script, in the order of the calls; keys are made in it, so this is for one server, not for a Redis Cluster.
   * The first call of a connection brings the text: to ask by hash first would let later calls overtake it.
   */
  eval(lua: Script, ...args: readonly ScriptArgument[]): Promise<unknown> {
    return this.run(async (redis) => {
      if (!this.#sent.has(lua.sha)) {
        this.#sent.add(lua.sha)
        return await redis.eval(lua.text, 0, ...args)
      }
      try {
        return await redis.evalsha(lua.sha, 0, ...args)
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
        return await redis.eval(lua.text, 0, ...args)
      }
    })
  }

  /** Sends to a channel; the number of its listeners. */
  publish(channel: string, message: Buffer): Promise<number> {
    return this.run((redis) => redis.publish(channel, message))
  }

  async check(): Promise<{ ok: boolean; detail?: string }> {
    if (this.#isMisconfigured) return { ok: false, detail: 'redis_misconfigured' }
    return this.isUp ? { ok: true } : { ok: false, detail: 'redis_unavailable' }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#handlers.clear()
    this.#onUp.clear()
    for (const client of [this.#commands, this.#listener]) client.disconnect()
    await Promise.resolve()
  }

  /** Up when both connections stand and the channels are listened to. Never rejects. */
  async #settle(): Promise<void> {
    if (this.#closed || this.#commands.status !== 'ready' || this.#listener.status !== 'ready') return
    try {
      const channels = [...this.#handlers.keys()]
      if (channels.length > 0) await this.#listener.subscribe(...channels)
      // Its answer is that of a server that works; one that loads or hangs gives none.
      await this.#commands.ping()
      if (!this.#isUp) await this.#checkAgain()
    } catch (error) {
      return this.#down(error)
    }
    if (this.#isUp || this.#closed) return
    this.#isUp = true
    this.#pausedUntil = -Infinity
    this.#logger.info('the Redis of sessions answers')
    for (const listener of this.#onUp) listener()
  }

  /** A server that came late, or came back as another. */
  async #checkAgain(): Promise<void> {
    try {
      await checkPolicy(this.#commands, 'sessions', this.#logger)
      this.#isMisconfigured = false
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      this.#isMisconfigured = true
      this.#logger.error({ detail: error.message }, 'the Redis of sessions is not set up for sessions')
    }
  }

  #down(error: unknown): void {
    if (this.#closed) return
    const level = this.#isUp ? 'warn' : 'debug'
    this.#isUp = false
    this.#logger[level]({ detail: toSluiceError(error).message }, 'the Redis of sessions is away')
  }
}

/** Error: `redis_misconfigured`, `setting_invalid` (the URL); a server that is away is waited for later. */
export async function openRedisLink(options: RedisLinkOptions): Promise<RedisLink> {
  const link = new RedisLink(options)
  try {
    await link.open()
    return link
  } catch (error) {
    await link.close()
    throw error
  }
}

/** The server answered, and that was an error: the connection is well. */
function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}
