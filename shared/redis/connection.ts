import { Redis, type RedisOptions } from 'ioredis'
import { BACKOFF, backoffMs, type Backoff } from '../backoff.ts'
import { SluiceError, toSluiceError } from '../errors.ts'
import type { Logger } from '../process/logger.ts'
import { checkRedisUrl, type RedisRole } from './policy.ts'

/**
 * `redis://[user:password@]host:port[/db]`, or `rediss://` for TLS. A function is asked again before each new connection,
 * so that a password can be changed under a running process.
 */
export type RedisUrl = string | (() => string)

const RECONNECT: Readonly<Record<RedisRole, Backoff>> = { sessions: BACKOFF.sessionsRedis, cache: BACKOFF.cacheRedis }

type Timeouts = 'connectTimeout' | 'commandTimeout' | 'socketTimeout' | 'keepAlive'

/** Where a Redis is, and whom to believe that it is the one. */
export interface RedisAddress {
  readonly url: RedisUrl
  /** Certificates that it is verified with, PEM, asked before each new connection; those of the system without it. */
  readonly ca?: (() => string) | undefined
}

export type RedisConnectionOptions = Pick<
  RedisOptions,
  Timeouts | 'maxRetriesPerRequest' | 'keyPrefix' | 'autoResubscribe'
>

/**
 * A client that is not connected yet, keeps nothing while the server is down, and comes back by itself. Error:
 * `setting_invalid` (the URL, certificates without TLS).
 */
export function redisClient(
  { url, ca }: RedisAddress,
  role: RedisRole,
  logger: Logger,
  options: RedisConnectionOptions,
): Redis {
  const read = typeof url === 'string' ? () => url : url
  const first = read()
  checkRedisUrl(first, role)
  if (ca !== undefined && !first.startsWith('rediss:')) {
    throw new SluiceError('setting_invalid', `the URL of Redis for ${role} is not rediss://, and its CA_FILE is set`)
  }
  const trust = () => (ca === undefined ? {} : { tls: { ca: ca() } })
  const client: Redis = new Redis(first, {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    ...options,
    ...trust(),
    retryStrategy(times) {
      try {
        Object.assign(client.options, loginOf(read()), trust())
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
