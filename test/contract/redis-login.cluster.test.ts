import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished, vi } from 'vitest'
import { redisCacheOptions, redisSessionsOptions } from '../../config/cluster.ts'
import { openRedisCache } from '../../shared/cache/redis/open.ts'
import { createLogger } from '../../shared/process/logger.ts'
import { openRedisLink } from '../../shared/mesh/redis-link.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { tempFolder } from '../helpers.ts'
import { startRedis, type RedisRole } from '../../load-tests/servers/redis.ts'

const NO_CA = {
  REDIS_SESSIONS_URL: '',
  REDIS_SESSIONS_CA_FILE: undefined,
  REDIS_CACHE_URL: '',
  REDIS_CACHE_CA_FILE: undefined,
}
const logger = createLogger('silent')

/** A server with a login whose URL is in a file, as a service is given it. */
async function ownLogin(role: RedisRole, setting: string) {
  const folder = tempFolder()
  const server = await startRedis(folder, role)
  onTestFinished(() => server.stop())
  const admin = new Redis(server.url)
  onTestFinished(() => admin.disconnect())
  const url = new URL(server.url)
  url.username = 'sluice'
  const file = join(folder, 'redis-url')
  const write = (password: string) => {
    url.password = password
    writeFileSync(file, `${url.href}\n`)
  }
  /** The server knows only the new password, and cuts those who came with the old one. */
  const change = async (password: string) => {
    await admin.call('ACL', 'SETUSER', 'sluice', 'reset', 'on', `>${password}`, '~*', '&*', '+@all')
    await admin.call('CLIENT', 'KILL', 'USER', 'sluice')
  }
  await change('first/1')
  write('first/1')
  vi.stubEnv(`${setting}_FILE`, file)
  onTestFinished(() => void vi.unstubAllEnvs())
  return { write, change }
}

it('sessions: a password that the server no longer takes is read again from its file', async () => {
  const { write, change } = await ownLogin('sessions', 'REDIS_SESSIONS_URL')
  const link = await openRedisLink({
    ...redisSessionsOptions(NO_CA),
    logger,
    metrics: createMetrics({ defaults: false }),
  })
  onTestFinished(() => link.close())
  expect(await link.run((redis) => redis.set('key', 'value'))).toBe('OK')
  await change('second@2')
  await expect.poll(() => link.isUp).toBe(false)
  write('second@2')
  await expect.poll(() => link.isUp).toBe(true)
  expect(await link.run((redis) => redis.get('key'))).toBe('value')
})

it('cache: the same', async () => {
  const { write, change } = await ownLogin('cache', 'REDIS_CACHE_URL')
  const cache = await openRedisCache({
    ...redisCacheOptions(NO_CA),
    logger,
    metrics: createMetrics({ defaults: false }),
  })
  onTestFinished(() => cache.close())
  await cache.setMany([{ key: 'key', value: 'value' }], 60_000)
  await change('second@2')
  await expect.poll(() => cache.available).toBe(false)
  write('second@2')
  await expect.poll(() => cache.available).toBe(true)
  expect(await cache.get('key')).toBe('value')
})
