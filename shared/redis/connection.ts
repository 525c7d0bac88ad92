import { Redis, type RedisOptions } from 'ioredis'
import { BACKOFF, backoffMs, type Backoff } from '../backoff.ts'
import { toSluiceError } from '../errors.ts'
import type { Logger } from '../process/logger.ts'
import { checkRedisUrl, type RedisRole } from './policy.ts'

/**
 * `redis://[user:password@]host:port[/db]`, or `rediss://` for TLS. A function is asked again before each new connection,
 * so that a password can be changed under a running process.
 */
export type RedisUrl = string | (() => string)

const RECONNECT: Readonly<Record<RedisRole, Backoff>> = { sessions: BACKOFF.sessionsRedis, cache: BACKOFF.cacheRedis }

type Timeouts = 'connectTimeout' | 'commandTimeout' | 'socketTimeout' | 'keepAlive'

export type RedisConnectionOptions = Pick<
  RedisOptions,
  Timeouts | 'maxRetriesPerRequest' | 'keyPrefix' | 'autoResubscribe'
>

/**
 * A client that is not connected yet, keeps nothing while the server is down, and comes back by itself. Error:
 * `setting_invalid` (the URL).
 */
export function redisClient(url: RedisUrl, role: RedisRole, logger: Logger, options: RedisConnectionOptions): Redis {
  const read = typeof url === 'string' ? () => url : url
  const first = read()
  checkRedisUrl(first, role)
  const client: Redis = new Redis(first, {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    ...options,
    retryStrategy(times) {
      try {
        Object.assign(client.options, loginOf(read()))
      } catch (error) {
        logger.warn({ role, detail: toSluiceError(error).message }, 'cannot re-read the URL of Redis')
      }
      return backoffMs(RECONNECT[role], times)
    },
    // After a failover the old primary is a replica, which takes no writes: a new connection may find the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  })
  return client
}

/** As ioredis reads it from the URL at the start. */
function loginOf(text: string): Pick<RedisOptions, 'username' | 'password'> {
  const { username, password } = new URL(text)
  const decoded = (part: string) => (part === '' ? undefined : decodeURIComponent(part))
  return { username: decoded(username), password: decoded(password) }
}
