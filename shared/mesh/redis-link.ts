import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { SluiceError, toSluiceError } from '../errors.ts'
import type { Logger } from '../process/logger.ts'
import { gaugeOf, type Metrics } from '../process/metrics.ts'
import { RedisAvailability } from '../redis/availability.ts'
import { redisClient, type RedisAddress } from '../redis/connection.ts'

export interface RedisLinkOptions extends RedisAddress {
  readonly logger: Logger
  readonly metrics: Metrics
}

/** A server that answers later than this counts as down: a client waits for a CONNECT that long. */
const COMMAND_TIMEOUT_MS = 2_000
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
 * The connections of one process to the Redis of sessions: one for commands, one that listens. While the server is down
 * every command fails at once with `redis_unavailable`; nothing waits for it, and both connections come back by
 * themselves. What a command that timed out did is not known: whatever is sent must bear a repetition.
 */
export class RedisLink {
  readonly #commands: Redis
  readonly #listener: Redis
  readonly #availability: RedisAvailability
  readonly #handlers = new Map<string, (message: Buffer) => void>()
  readonly #onUp = new Set<() => void>()
  /** Scripts whose text was sent on the present connection of commands. */
  readonly #sent = new Set<string>()
  #pending = 0

  constructor({ url, ca, logger, metrics }: RedisLinkOptions) {
    const common = {
      maxRetriesPerRequest: 0,
      connectTimeout: START_TIMEOUT_MS,
      commandTimeout: COMMAND_TIMEOUT_MS,
    }
    this.#commands = redisClient({ url, ca }, 'sessions', logger, { ...common, socketTimeout: SOCKET_TIMEOUT_MS })
    // Nothing may come for hours here: the commands of the same server tell whether it lives.
    this.#listener = redisClient({ url, ca }, 'sessions', logger, {
      ...common,
      autoResubscribe: false,
      keepAlive: 10_000,
    })
    this.#availability = new RedisAvailability({
      clients: [this.#commands, this.#listener],
      role: 'sessions',
      logger,
      metrics,
      startTimeoutMs: START_TIMEOUT_MS,
      prepare: async () => {
        const channels = [...this.#handlers.keys()]
        if (channels.length > 0) await this.#listener.subscribe(...channels)
      },
      onUp: () => {
        for (const listener of this.#onUp) listener()
      },
    })
    // The server may be another one then.
    this.#commands.on('close', () => this.#sent.clear())
    this.#listener.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      this.#handlers.get(channel.toString())?.(message)
    })
    gaugeOf(metrics, 'sluice_sessions_redis_up', '1 while the session Redis answers', () => (this.isUp ? 1 : 0))
  }

  /** Both connections stand, channels are listened to, and the last command was answered. */
  get isUp(): boolean {
    return this.#availability.isUp
  }

  /** Waits for the server, but not long; goes on trying when it is down. Error: `redis_misconfigured`. */
  open(): Promise<void> {
    return this.#availability.open()
  }

  /** Listens to a channel from now on, across reconnections. What is sent while the connection is down is lost. */
  async listen(channel: string, handler: (message: Buffer) => void): Promise<void> {
    this.#handlers.set(channel, handler)
    await this.#availability.settle()
  }

  /** Called whenever the server is back, and with the first connection; channels are listened to again by then. */
  onUp(listener: () => void): () => void {
    this.#onUp.add(listener)
    return () => this.#onUp.delete(listener)
  }

  /** Runs one command. Error: `redis_unavailable`, also for what the server refuses. */
  async run<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    if (!this.isUp) throw new SluiceError('redis_unavailable', 'session Redis is unreachable')
    if (this.#pending >= MAX_PENDING)
      throw new SluiceError('redis_unavailable', 'too many commands are waiting for Redis')
    this.#pending += 1
    try {
      return await this.#availability.ask(() => command(this.#commands))
    } catch (error) {
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
    if (this.#availability.isMisconfigured) return { ok: false, detail: 'redis_misconfigured' }
    return this.isUp ? { ok: true } : { ok: false, detail: 'redis_unavailable' }
  }

  async close(): Promise<void> {
    this.#availability.close()
    this.#handlers.clear()
    this.#onUp.clear()
    for (const client of [this.#commands, this.#listener]) client.disconnect()
    await Promise.resolve()
  }
}

/** Error: `redis_misconfigured`, `setting_invalid` (the URL); a server that is down is waited for later. */
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
