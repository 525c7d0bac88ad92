import type { Redis } from 'ioredis'
import { Counter } from 'prom-client'
import type { Logger } from '../../process/logger.ts'
import { gaugeOf, type Metrics } from '../../process/metrics.ts'
import type { Cache } from '../port.ts'
import { isReply, RedisAvailability } from '../../redis/availability.ts'
import { redisClient, type RedisAddress } from '../../redis/connection.ts'

export interface RedisCacheOptions extends RedisAddress {
  readonly logger: Logger
  readonly metrics: Metrics
}

/** A cache that answers later than this is slower than the database behind it. */
const COMMAND_TIMEOUT_MS = 200
/** A connection on which nothing comes for this long although something was asked is given up. */
const SOCKET_TIMEOUT_MS = 3_000
/** How long the start waits for the server before it goes on without. */
const START_TIMEOUT_MS = 2_000
/** Keys in one MGET, commands in one pipeline: more would keep the server from others for milliseconds. */
const CHUNK = 1_000
/** Keys that could not be deleted and are hidden and deleted later; the oldest are forgotten, their time to live ends them. */
const MAX_OWED = 10_000
/** Other users of the same server keep their keys. */
const PREFIX = 'sluice:'

/**
 * A cache that processes share. While Redis is down every read is a miss and every write is dropped and counted, at once:
 * nothing waits, and it comes back by itself. It opens without Redis too. Errors: `setting_invalid` (the URL),
 * `redis_misconfigured` (a memory policy that never evicts).
 */
export async function openRedisCache({ url, ca, logger, metrics }: RedisCacheOptions): Promise<Cache> {
  const client = redisClient({ url, ca }, 'cache', logger, {
    maxRetriesPerRequest: 1,
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    connectTimeout: START_TIMEOUT_MS,
    keyPrefix: PREFIX,
  })
  const cache = new RedisCache(client, logger, metrics)
  try {
    await cache.open()
    return cache
  } catch (error) {
    await cache.close()
    throw error
  }
}

class RedisCache implements Cache {
  readonly #client: Redis
  readonly #logger: Logger
  readonly #reads: Counter<'result'>
  readonly #dropped: Counter
  /** Keys that somebody deleted while Redis was down. */
  readonly #owed = new Set<string>()
  readonly #availability: RedisAvailability
  /** A deletion failed, and nothing has been answered since. */
  #owesMore = false
  /** One warning until something is accepted again. */
  #isRefused = false
  #isClosed = false

  constructor(client: Redis, logger: Logger, metrics: Metrics) {
    this.#client = client
    this.#logger = logger
    const registers = [metrics]
    this.#reads = new Counter({
      name: 'sluice_cache_reads_total',
      help: 'Keys looked up in the cache, by result: hit, miss or unavailable',
      labelNames: ['result'],
      registers,
    })
    this.#dropped = new Counter({
      name: 'sluice_cache_writes_dropped_total',
      help: 'Entries not written because Redis was unreachable, slow or full',
      registers,
    })
    gaugeOf(
      metrics,
      'sluice_cache_available',
      '1 while the cache answers, 0 while reads are misses and writes are dropped',
      () => (this.available ? 1 : 0),
    )
    this.#availability = new RedisAvailability({
      clients: [client],
      role: 'cache',
      logger,
      metrics,
      startTimeoutMs: START_TIMEOUT_MS,
      onUp: () => this.#settleAllOwed(),
    })
  }

  get available(): boolean {
    return this.#availability.isUp
  }

  /** Error: `redis_misconfigured`. */
  open(): Promise<void> {
    return this.#availability.open()
  }

  async get(key: string): Promise<string | undefined> {
    const [value] = await this.getMany([key])
    return value
  }

  async getMany(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    const found: (string | undefined)[] = []
    for (let from = 0; from < keys.length; from += CHUNK) {
      const part = keys.slice(from, from + CHUNK)
      const values = await this.#ask(() => this.#client.mget(part))
      if (values === undefined) {
        this.#reads.inc({ result: 'unavailable' }, keys.length - from)
        return [...found, ...Array.from({ length: keys.length - from }, () => undefined)]
      }
      for (const [index, key] of part.entries()) {
        found.push(this.#owed.has(key) ? undefined : (values[index] ?? undefined))
      }
    }
    const hits = found.filter((value) => value !== undefined).length
    if (hits > 0) this.#reads.inc({ result: 'hit' }, hits)
    if (hits < keys.length) this.#reads.inc({ result: 'miss' }, keys.length - hits)
    return found
  }

  async setMany(entries: readonly { readonly key: string; readonly value: string }[], ttlMs: number): Promise<void> {
    for (let from = 0; from < entries.length; from += CHUNK) {
      const part = entries.slice(from, from + CHUNK)
      const results = await this.#ask(async () => {
        const pipeline = this.#client.pipeline()
        for (const { key, value } of part) pipeline.set(key, value, 'PX', ttlMs)
        const answers = (await pipeline.exec()) ?? []
        // What the server refused is one entry's; what had no answer is the connection's.
        const lost = answers.find(([error]) => error !== null && !isReply(error))
        if (lost?.[0]) throw lost[0]
        return answers
      })
      if (results === undefined) {
        this.#dropped.inc(entries.length - from)
        return
      }
      for (const [index, { key }] of part.entries()) if (results[index]?.[0] === null) this.#owed.delete(key)
      const refused = results.filter(([error]) => error !== null)
      if (refused.length > 0) {
        this.#dropped.inc(refused.length)
        this.#logger.debug({ entries: refused.length, detail: refused[0]?.[0]?.message }, 'Redis rejected entries')
      }
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    // Hidden before anybody can read again, and until the server has done it.
    for (const key of keys) this.#owed.add(key)
    for (const key of this.#owed) {
      if (this.#owed.size <= MAX_OWED) break
      this.#owed.delete(key)
    }
    await this.#settleOwed(keys)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    // What was asked before is answered first: commands leave and return in order.
    const quitting = this.#ask(() => this.#client.quit())
    this.#availability.close()
    await quitting
    this.#client.disconnect()
  }

  async #settleOwed(keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += CHUNK) {
      const part = keys.slice(from, from + CHUNK)
      if ((await this.#ask(() => this.#client.unlink(part))) === undefined) {
        this.#owesMore = true
        return
      }
      for (const key of part) this.#owed.delete(key)
    }
  }

  /** The answer, or undefined when there was none: the caller goes on without the cache. */
  async #ask<T>(command: () => Promise<T>): Promise<T | undefined> {
    if (!this.available) return undefined
    try {
      const answer = await this.#availability.ask(command)
      this.#isRefused = false
      if (this.#owesMore) this.#settleAllOwed()
      return answer
    } catch (error) {
      if (isReply(error)) this.#refused(error)
      return undefined
    }
  }

  #settleAllOwed(): void {
    this.#owesMore = false
    void this.#settleOwed([...this.#owed]) // never rejects
  }

  #refused({ message }: Error): void {
    const level = this.#isRefused ? 'debug' : 'warn'
    this.#isRefused = true
    this.#logger[level]({ detail: message }, 'Redis rejects commands of the cache')
  }
}
