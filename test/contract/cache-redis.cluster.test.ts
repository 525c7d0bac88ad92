import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Cache } from '../../shared/cache/port.ts'
import { checkRedisPolicy } from '../../shared/redis/policy.ts'
import { openRedisCache } from '../../shared/cache/redis/open.ts'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { startRedis, type Redis as RedisServer } from '../../load-tests/servers/redis.ts'
import { describeCache } from './cache-contract.ts'
import { PATIENCE } from '../patience.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-redis-'))
let server: RedisServer
let sessions: RedisServer

beforeAll(async () => {
  server = await startRedis(folder, 'cache')
  sessions = await startRedis(folder, 'sessions')
})

afterAll(async () => {
  await Promise.all([server, sessions].map((one) => one.stop()))
  rmSync(folder, { recursive: true, force: true })
})

const logger = createLogger('silent')
const code = (value: string) => expect.objectContaining({ code: value }) as Error
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function open(url = server.url) {
  const metrics = createMetrics({ defaults: false })
  const cache = await openRedisCache({ url, logger, metrics })
  onTestFinished(() => cache.close())
  const valueOf = async (name: string, result?: string): Promise<number> => {
    const { values = [] } = (await metrics.getSingleMetric(name)?.get()) ?? {}
    return values.find(({ labels }) => result === undefined || labels['result'] === result)?.value ?? 0
  }
  return { cache, valueOf }
}

/** An operator's connection, closed with the test. */
function admin(url: string): Redis {
  const client = new Redis(url)
  client.on('error', () => client.disconnect())
  onTestFinished(() => client.disconnect())
  return client
}

function set(cache: Cache, value: string, ...keys: string[]): Promise<void> {
  const entries = keys.map((key) => ({ key, value }))
  return cache.setMany(entries, 60_000)
}

async function untilAvailable(cache: Cache): Promise<void> {
  await vi.waitFor(() => expect(cache.available).toBe(true), PATIENCE)
}

describeCache('Redis cache', async () => {
  await admin(server.url).flushall()
  const { cache } = await open()
  return { cache, pass: pause }
})

describe('Redis cache', () => {
  it('is shared, beside what others keep there', async () => {
    const [{ cache: one }, { cache: two }] = [await open(), await open()]
    await set(one, 'v', 'shared')
    expect(await two.get('shared')).toBe('v')
    await two.delete(['shared'])
    expect(await one.get('shared')).toBeUndefined()
    const beside = admin(server.url)
    await beside.set('mine', 'x')
    expect(await one.get('mine')).toBeUndefined()
  })

  it('takes thousands of keys at once', async () => {
    const { cache } = await open()
    const keys = Array.from({ length: 3_500 }, (_, index) => `many${index}`)
    await set(cache, 'v', ...keys)
    expect((await cache.getMany(keys)).filter((value) => value === 'v')).toHaveLength(keys.length)
  })

  it('flushed: everything is a miss, and is set anew', async () => {
    const { cache } = await open()
    await set(cache, 'v', 'a')
    await admin(server.url).flushall()
    expect(await cache.get('a')).toBeUndefined()
    await set(cache, 'w', 'a')
    expect(await cache.get('a')).toBe('w')
    expect(cache.available).toBe(true)
  })

  it('killed: reads miss and writes are dropped, and counted; back, it works', async () => {
    const { cache, valueOf } = await open()
    await set(cache, 'old', 'a')
    await server.process.stop('SIGKILL')
    await vi.waitFor(() => expect(cache.available).toBe(false), PATIENCE)
    expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined])
    await set(cache, 'new', 'a', 'b', 'c')
    await cache.delete(['a'])
    expect(await valueOf('sluice_cache_reads_total', 'unavailable')).toBe(2)
    expect(await valueOf('sluice_cache_writes_dropped_total')).toBe(3)
    expect(await valueOf('sluice_cache_available')).toBe(0)
    await server.process.start()
    await untilAvailable(cache)
    await set(cache, 'again', 'a')
    expect(await cache.get('a')).toBe('again')
  })

  it('that hangs: keeps a caller once in a while, not each, and deletes later what it owes', async () => {
    const { cache, valueOf } = await open()
    await set(cache, 'v', 'kept', 'deleted')
    server.process.signal('SIGSTOP')
    try {
      expect(await cache.get('kept')).toBeUndefined()
      expect(await valueOf('sluice_redis_failed_requests_total')).toBe(1)
      expect(cache.available).toBe(false)
      // If each waited for its timeout, this would take longer than a test may.
      for (let index = 0; index < 1_000; index++) await cache.get('kept')
      await cache.delete(['deleted'])
    } finally {
      server.process.signal('SIGCONT')
    }
    await vi.waitFor(async () => expect(await cache.get('kept')).toBe('v'), { timeout: 15_000, interval: 100 })
    expect(await cache.get('deleted')).toBeUndefined()
    await vi.waitFor(async () => expect(await admin(server.url).exists('sluice:deleted')).toBe(0), PATIENCE)
  })

  it('full and not evicting: entries are refused and counted, and the connection stays', async () => {
    const { cache, valueOf } = await open()
    const operator = admin(server.url)
    await operator.flushall()
    await operator.config('SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '1')
    try {
      await set(cache, 'v', 'a', 'b')
      expect(await valueOf('sluice_cache_writes_dropped_total')).toBe(2)
      expect(await cache.get('a')).toBeUndefined()
      expect(cache.available).toBe(true)
    } finally {
      await operator.config('SET', 'maxmemory-policy', 'allkeys-lru', 'maxmemory', '64mb')
    }
  })

  it('opens without Redis, and works once it is there', async () => {
    await server.process.stop('SIGKILL')
    const { cache } = await open()
    expect(cache.available).toBe(false)
    expect(await cache.get('a')).toBeUndefined()
    await server.process.start()
    await untilAvailable(cache)
    await set(cache, 'v', 'a')
    expect(await cache.get('a')).toBe('v')
  })

  it('closed, answers as one that is away', async () => {
    const { cache } = await open()
    await cache.close()
    expect(cache.available).toBe(false)
    expect(await cache.get('a')).toBeUndefined()
    await set(cache, 'v', 'a')
    await cache.close()
  })
})

describe('the policy of Redis', () => {
  it('is right on both servers', async () => {
    await checkRedisPolicy(server.url, 'cache', logger)
    await checkRedisPolicy(sessions.url, 'sessions', logger)
  })

  it('of the one is wrong for the other', async () => {
    await expect(checkRedisPolicy(server.url, 'sessions', logger)).rejects.toThrow(code('redis_misconfigured'))
    await expect(checkRedisPolicy(sessions.url, 'cache', logger)).rejects.toThrow(code('redis_misconfigured'))
    await expect(openRedisCache({ url: sessions.url, logger, metrics: createMetrics({ defaults: false }) })).rejects.toThrow('allkeys-lru') // prettier-ignore
    await admin(sessions.url).config('SET', 'appendonly', 'no')
    await expect(checkRedisPolicy(sessions.url, 'sessions', logger)).rejects.toThrow('appendonly')
    await admin(sessions.url).config('SET', 'appendonly', 'yes')
  })

  it('that may not be asked for is taken for right, with a warning', async () => {
    await admin(server.url).call('ACL', 'SETUSER', 'plain', 'on', '>geheim', '~*', '&*', '+@all', '-info', '-config')
    const warnings: string[] = []
    const warning = createLogger('silent')
    vi.spyOn(warning, 'warn').mockImplementation((...args: unknown[]) => void warnings.push(String(args[1])))
    const url = new URL(server.url)
    url.username = 'plain'
    url.password = 'geheim'
    await checkRedisPolicy(url.href, 'cache', warning)
    expect(warnings).toEqual([expect.stringContaining('was not checked')])
  })

  it('of a server that is away or refuses the login, and of no URL', async () => {
    await expect(checkRedisPolicy('redis://127.0.0.1:1', 'cache', logger)).rejects.toThrow(code('redis_unavailable'))
    const url = server.url.replace('redis://', 'redis://nobody:geheim@')
    await expect(checkRedisPolicy(url, 'cache', logger)).rejects.toThrow(code('redis_unavailable'))
    for (const none of ['', 'x', 'http://h', 'redis://:geheim@']) {
      await expect(checkRedisPolicy(none, 'cache', logger)).rejects.toThrow(code('setting_invalid'))
      await expect(checkRedisPolicy(none, 'cache', logger)).rejects.not.toThrow('geheim')
    }
  })
})
