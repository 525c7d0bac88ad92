import { Redis } from 'ioredis'
import { SluiceError, toSluiceError } from '../errors.ts'
import type { Logger } from '../process/logger.ts'

/** Sessions must outlive a full memory and a restart; the cache must give way instead of refusing. */
export type RedisRole = 'sessions' | 'cache'

/** How long the server may take to answer at the start. */
const CHECK_TIMEOUT_MS = 2_000

/**
 * Holds a server against what its role needs: sessions `noeviction` and AOF, the cache an evicting policy. Where the
 * server does not tell, that is logged and taken for right. Errors: `redis_misconfigured`, `redis_unavailable`,
 * `setting_invalid` (the URL).
 */
export async function checkRedisPolicy(url: string, role: RedisRole, logger: Logger): Promise<void> {
  checkRedisUrl(url, role)
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CHECK_TIMEOUT_MS,
    commandTimeout: CHECK_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    retryStrategy: () => null,
  })
  // Told by what fails below.
  client.on('error', (error: Error) => logger.debug({ role, detail: error.message }, 'redis'))
  try {
    await client.connect()
    await checkPolicy(client, role, logger)
  } catch (error) {
    throw toSluiceError(error, 'redis_unavailable')
  } finally {
    client.disconnect()
  }
}

/** The same on a connection that stands. Errors: `redis_misconfigured`, and those of the connection. */
export async function checkPolicy(client: Redis, role: RedisRole, logger: Logger): Promise<void> {
  const facts = await readFacts(client, role, logger)
  if (facts === undefined) return
  const policy = facts.get('maxmemory_policy')
  const wrong = (reason: string): never => {
    throw new SluiceError('redis_misconfigured', `the Redis of ${role} ${reason}`)
  }
  if (role === 'cache') {
    if (policy === 'noeviction')
      wrong('has maxmemory-policy noeviction: set allkeys-lru, so that writes are never rejected')
    if (facts.get('maxmemory') === '0') {
      logger.warn({ role }, 'maxmemory is not set: the cache grows until memory runs out')
    }
    return
  }
  if (policy !== 'noeviction')
    wrong(`has maxmemory-policy ${policy ?? '(unknown)'}: set noeviction, or sessions are lost`)
  if (facts.get('aof_enabled') !== '1')
    wrong('has no append-only file: set appendonly yes, or sessions are lost at a restart')
}

/** INFO tells what CONFIG would, and is allowed where CONFIG is not; undefined where it is not either. */
async function readFacts(client: Redis, role: RedisRole, logger: Logger): Promise<Map<string, string> | undefined> {
  try {
    const texts = [await client.info('memory'), await client.info('persistence')]
    const lines = texts.join('\n').split(/\r?\n/)
    return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
  } catch (error) {
    // The connection's errors have no such beginning: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
    if (!(error instanceof Error) || !/^(NOPERM|ERR unknown command)/.test(error.message)) throw error
    logger.warn({ role }, 'the login may not read the memory policy of Redis, so it was not checked')
    return undefined
  }
}

/** Error `setting_invalid`, which never shows the URL. */
export function checkRedisUrl(text: string, role: RedisRole): void {
  const [, scheme = '', authority = ''] = /^([^:]+):\/\/([^/?#]*)/.exec(text) ?? []
  // Behind the login, which may have any character.
  if (scheme.includes('sentinel') || authority.slice(authority.lastIndexOf('@') + 1).includes(',')) {
    const detail = 'names several addresses or a Sentinel: give one redis://host:port, which follows the primary'
    throw new SluiceError('setting_invalid', `the URL of Redis for ${role} ${detail}`)
  }
  const url = URL.parse(text)
  const isRedis = (url?.protocol === 'redis:' || url?.protocol === 'rediss:') && url.hostname !== ''
  if (!isRedis) throw new SluiceError('setting_invalid', `the URL of Redis for ${role} is not redis://host:port`)
}
