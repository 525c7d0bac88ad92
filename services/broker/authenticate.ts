import { createHmac, randomBytes } from 'node:crypto'
import { Counter, Gauge } from 'prom-client'
import { SluiceError, toSluiceError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/logger.ts'
import { LruMap } from '../../shared/lru.ts'
import type { Metrics } from '../../shared/metrics.ts'
import type { Principal, Registry } from '../../shared/registry/port.ts'
import { createFailedLogins } from './failed-logins.ts'

/** What a CONNECT brings. An empty password counts as none, because many clients cannot leave it out. */
export interface Login {
  readonly username: string | undefined
  readonly password: Uint8Array | undefined
  readonly remoteAddress: string
}

export interface Authenticator {
  /**
   * Who this is: a username with its secret, a token as the username without password, or, without username, the
   * application that `anonymousAs` names. Errors: `login_failed`, `login_required` (no username, and anonymous clients
   * are not accepted or their application does not exist), `login_rate_limited`, `registry_unavailable`.
   */
  authenticate(login: Login): Promise<Principal>
  close(): void
}

export interface AuthenticatorOptions {
  readonly registry: Registry
  /** Name of the application that clients without username are. */
  readonly anonymousAs?: string | undefined
  readonly logger: Logger
  readonly metrics: Metrics
}

/** A fleet that reconnects after an outage comes back within this time; what changed is dropped at once all the same. */
const VERIFIED_MS = 30_000
/** About 300 bytes each: 6 MB. More devices than this only cost the registry a look-up each. */
const MAX_VERIFIED = 20_000
/** A client that retries in a loop costs the registry one look-up in this time. Any change forgets all of them. */
const REJECTED_MS = 30_000
const MAX_REJECTED = 2_000
/** Changes remembered by name; beyond this everything counts as changed. */
const MAX_CHANGES = 10_000
/** Secrets and tokens are below 64 bytes; nothing longer is worth hashing. */
const MAX_CREDENTIAL_BYTES = 256
/** Verifying again because the login changed meanwhile; more often than this somebody changes it in a loop. */
const MAX_ATTEMPTS = 5

interface Verified {
  readonly principal: Principal
  readonly expires: number
  /** Number of changes that were known when this was verified. */
  readonly changes: number
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  return new CachingAuthenticator(options)
}

/**
 * How a login may be shown to people and kept: its username, but never a token. A username without password is taken
 * for one, as is everything that looks like one.
 */
export function describeLogin({ username, password }: Pick<Login, 'username' | 'password'>): string {
  if (username === undefined) return 'anonymous'
  const withoutPassword = password === undefined || password.byteLength === 0
  const mayBeToken = /^sl[tk]_/.test(username) || (withoutPassword && !username.includes('/'))
  return mayBeToken ? `${username.slice(0, 6)}...` : username.slice(0, 256)
}

class CachingAuthenticator implements Authenticator {
  readonly #registry: Registry
  readonly #anonymousAs: string | undefined
  readonly #logger: Logger
  readonly #logins: Counter<'result'>
  /** Keys of the caches are hashes under a key of this process: no secret and nothing to guess it from is kept. */
  readonly #cacheKey = randomBytes(32)
  readonly #verified = new LruMap<string, Verified>(MAX_VERIFIED)
  readonly #rejected = new LruMap<string, number>(MAX_REJECTED)
  readonly #failed = createFailedLogins()
  readonly #unsubscribe: () => void
  /** Which change of a name was its last, by number; names that are missing changed before `#changesFloor`. */
  readonly #changed = new Map<string, number>()
  #changes = 0
  #changesFloor = 0

  constructor({ registry, anonymousAs, logger, metrics }: AuthenticatorOptions) {
    this.#registry = registry
    this.#anonymousAs = anonymousAs
    this.#logger = logger
    this.#unsubscribe = registry.onChange((name) => this.#noteChange(name))
    this.#logins = new Counter({
      name: 'sluice_broker_logins_total',
      help: 'CONNECTs by result: ok, ok_cached or the error code',
      labelNames: ['result'],
      registers: [metrics],
    })
    const verified = this.#verified
    const failed = this.#failed
    new Gauge({
      name: 'sluice_broker_login_cache_entries',
      help: 'Verified logins kept in memory',
      registers: [metrics],
      collect() {
        this.set(verified.size)
      },
    })
    new Gauge({
      name: 'sluice_broker_failed_login_addresses',
      help: 'Addresses whose failed logins are being counted',
      registers: [metrics],
      collect() {
        this.set(failed.size)
      },
    })
  }

  async authenticate(login: Login): Promise<Principal> {
    try {
      const { principal, cached } = await this.#authenticate(login)
      this.#logins.inc({ result: cached ? 'ok_cached' : 'ok' })
      return principal
    } catch (error) {
      const known = toSluiceError(error)
      this.#logins.inc({ result: known.code })
      throw known
    }
  }

  close(): void {
    this.#unsubscribe()
    this.#verified.clear()
    this.#rejected.clear()
  }

  async #authenticate(login: Login): Promise<{ principal: Principal; cached: boolean }> {
    const { username, password, remoteAddress } = login
    if (username === undefined) return { principal: await this.#anonymous(), cached: false }
    const token = password === undefined || password.byteLength === 0
    if (username.length > MAX_CREDENTIAL_BYTES || (password?.byteLength ?? 0) > MAX_CREDENTIAL_BYTES) {
      this.#failed.note(remoteAddress)
      throw failure(login, 'username or password is longer than any that exists')
    }
    const key = this.#hash(username, password)
    const known = this.#fromCache(key)
    if (known !== undefined) return { principal: known, cached: true }
    // Whoever guesses does not reach the registry; a client whose login is known to be good passes above.
    if (this.#failed.isLimited(remoteAddress)) {
      throw new SluiceError('login_rate_limited', `too many failed logins from ${remoteAddress}`)
    }
    const rejectedUntil = this.#rejected.get(key)
    if (rejectedUntil !== undefined && rejectedUntil > performance.now()) throw failure(login)
    const secret = token ? undefined : Buffer.from(password).toString('utf8')
    const verified = await this.#verify(username, secret)
    if (verified === undefined) {
      // Counted once per login tried: a device with a wrong secret must not lock out the others behind its address.
      this.#failed.note(remoteAddress)
      this.#rejected.set(key, performance.now() + REJECTED_MS)
      throw failure(login)
    }
    this.#verified.set(key, verified)
    return { principal: verified.principal, cached: false }
  }

  /** Not cached: a lookup by name for each CONNECT, so that making or removing the application acts at once. */
  async #anonymous(): Promise<Principal> {
    const name = this.#anonymousAs
    if (name === undefined) throw new SluiceError('login_required', 'CONNECT without username')
    const principal = await this.#ask(() => this.#registry.applicationPrincipal(name))
    if (principal !== undefined) return principal
    throw new SluiceError('login_required', `anonymous clients are the application "${name}", which does not exist`)
  }

  async #verify(username: string, secret: string | undefined): Promise<Verified | undefined> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const changes = this.#changes
      const principal = await this.#ask(() =>
        secret === undefined ? this.#registry.verifyToken(username) : this.#registry.verifySecret(username, secret),
      )
      if (principal === undefined) return undefined
      // The answer may be older than a change that came while we waited for it.
      if (!this.#changedSince(principal.name, changes)) {
        return { principal, changes, expires: performance.now() + VERIFIED_MS }
      }
    }
    return undefined
  }

  #fromCache(key: string): Principal | undefined {
    const known = this.#verified.get(key)
    if (known === undefined) return undefined
    if (known.expires > performance.now() && !this.#changedSince(known.principal.name, known.changes)) {
      return known.principal
    }
    this.#verified.delete(key)
    return undefined
  }

  #noteChange(name: string): void {
    this.#changes += 1
    this.#changed.set(name, this.#changes)
    // A new login may be one that was refused a moment ago; a token does not tell its name, so all are forgotten.
    this.#rejected.clear()
    if (this.#changed.size <= MAX_CHANGES) return
    this.#changed.clear()
    this.#changesFloor = this.#changes
  }

  #changedSince(name: string, changes: number): boolean {
    return (this.#changed.get(name) ?? this.#changesFloor) > changes
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question()
    } catch (error) {
      const cause = toSluiceError(error, 'registry_unavailable')
      this.#logger.warn({ code: cause.code, reason: cause.message }, 'login cannot be checked')
      throw new SluiceError('registry_unavailable', cause.message, { cause })
    }
  }

  #hash(username: string, password: Uint8Array | undefined): string {
    const hmac = createHmac('sha256', this.#cacheKey).update(`${Buffer.byteLength(username)}:${username}`)
    return hmac.update(password ?? '').digest('base64')
  }
}

function failure(login: Login, reason = 'unknown username, or secret or token does not match'): SluiceError {
  return new SluiceError('login_failed', `${describeLogin(login)}: ${reason}`)
}
