import { createHmac, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Counter } from 'prom-client'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import { inTime } from '../../../shared/in-time.ts'
import type { FailedLogins } from '../../../shared/failed-logins.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'
import type { Principal, Registry } from '../../../shared/registry/port.ts'
import { LoginCache } from './login-cache.ts'

/** What a CONNECT brings. An empty password counts as none, because many clients cannot leave it out. */
export interface Login {
  readonly username: string | undefined
  readonly password: Uint8Array | undefined
  readonly remoteAddress: string
  /** Common name of a client certificate that the listener has verified: it says who it is, without a password. */
  readonly certificateName?: string | undefined
}

export interface Authenticator {
  /**
   * Who this is: the name on a certificate (a username, if there is one, must say the same), a username with its secret,
   * a token as the username without password, or, without username, the application that `anonymousAs` names. Errors:
   * `login_failed`, `login_required` (no username, and anonymous clients are not accepted or their application does not
   * exist), `login_rate_limited`, `registry_unavailable`.
   */
  authenticate(login: Login): Promise<Principal>
  close(): void
}

export interface AuthenticatorOptions {
  readonly registry: Registry
  /** Where logins fail is counted here. */
  readonly failedLogins: FailedLogins
  /** Name of the application that clients without username are. */
  readonly anonymousAs?: string | undefined
  /** About how long an address with too many failed logins waits for each further refusal; for tests. */
  readonly limitedMs?: number
  readonly logger: Logger
  readonly metrics: Metrics
}

/** A registry that did not answer is not waited for by logins that were good, but by one of them in this time. */
const ASK_AGAIN_MS = 1_000
/** Nor for longer than this by any of them: one that hangs must not keep a fleet out that it has let in before. */
const KNOWN_WAIT_MS = 500
/** Secrets and tokens are below 64 bytes, imported usernames and passwords 256; nothing longer is worth hashing. */
const MAX_CREDENTIAL_BYTES = 256
/** Verifying again because the login changed meanwhile; more often than this somebody changes it in a loop. */
const MAX_ATTEMPTS = 5

/**
 * Guesses are answered late, and so come back late: a refusal that is quick is asked for again at once, and a
 * thousand of them a second are felt by everybody. Below the time limit of a CONNECT.
 */
const LIMITED_MS = 4_000

type Result = 'ok' | 'ok_cached' | 'ok_stale'

interface Outcome {
  readonly principal: Principal
  readonly result: Result
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  return new CachingAuthenticator(options)
}

/**
 * How a login may be shown to people and kept: its username, but never a token. A username without password is taken
 * for one, as is everything that looks like one.
 */
export function describeLogin(login: Pick<Login, 'username' | 'password' | 'certificateName'>): string {
  const { username, password, certificateName } = login
  if (certificateName !== undefined) return certificateName.slice(0, 256)
  if (username === undefined) return 'anonymous'
  const withoutPassword = password === undefined || password.byteLength === 0
  const mayBeToken = /^sl[tk]_/.test(username) || (withoutPassword && !username.includes('/'))
  return mayBeToken ? `${username.slice(0, 6)}...` : username.slice(0, 256)
}

class CachingAuthenticator implements Authenticator {
  readonly #registry: Registry
  readonly #anonymousAs: string | undefined
  readonly #limitedMs: number
  readonly #logger: Logger
  readonly #logins: Counter<'result'>
  /** Keys of the cache are hashes under a key of this process: no secret and nothing to guess it from is kept. */
  readonly #cacheKey = randomBytes(32)
  readonly #cache: LoginCache
  readonly #failed: FailedLogins
  #awayUntil = 0

  constructor(options: AuthenticatorOptions) {
    const { registry, failedLogins, anonymousAs, limitedMs = LIMITED_MS, logger, metrics } = options
    this.#registry = registry
    this.#failed = failedLogins
    this.#anonymousAs = anonymousAs
    this.#limitedMs = limitedMs
    this.#logger = logger
    this.#cache = new LoginCache(registry)
    this.#logins = new Counter({
      name: 'sluice_broker_logins_total',
      help: 'CONNECT packets by result: ok, ok_cached, ok_stale (the registry does not answer) or the error code',
      labelNames: ['result'],
      registers: [metrics],
    })
    this.#expose(metrics)
  }

  async authenticate(login: Login): Promise<Principal> {
    try {
      const { principal, result } = await this.#authenticate(login)
      this.#logins.inc({ result })
      return principal
    } catch (error) {
      const known = toSluiceError(error)
      this.#logins.inc({ result: known.code })
      throw known
    }
  }

  close(): void {
    this.#cache.close()
  }

  async #authenticate(login: Login): Promise<Outcome> {
    const { username, remoteAddress, certificateName } = login
    const name = certificateName ?? username
    if (name === undefined) return { principal: await this.#anonymous(), result: 'ok' }
    const wrong = impossible(login)
    if (wrong !== undefined) {
      this.#failed.note(remoteAddress)
      throw failure(login, wrong)
    }
    const key = this.#hash(login)
    const known = this.#cache.get(key)
    if (known?.isFresh === true) return { principal: known.principal, result: 'ok_cached' }
    if (known !== undefined && performance.now() < this.#awayUntil) return { ...known, result: 'ok_stale' }
    // Guesses do not reach the registry; a client whose login is known to be good passes above.
    if (known === undefined && this.#failed.isLimited(remoteAddress)) {
      // Not all of them at the same moment; a process that stops does not wait for it.
      await delay(this.#limitedMs * (0.5 + Math.random()), undefined, { ref: false })
      throw new SluiceError('login_rate_limited', `too many failed logins from ${remoteAddress}`)
    }
    if (this.#cache.isRejected(key, name)) throw failure(login)
    const outcome = await this.#verify(key, login, known?.principal)
    if (outcome !== undefined) return outcome
    // Counted once per login tried: a device with a wrong secret must not lock out the others at its address.
    this.#failed.note(remoteAddress)
    throw failure(login)
  }

  /** Not cached: a lookup by name for each CONNECT, so that making or removing the application acts at once. */
  async #anonymous(): Promise<Principal> {
    const name = this.#anonymousAs
    if (name === undefined) throw new SluiceError('login_required', 'CONNECT without username')
    const principal = await this.#ask(() => this.#registry.applicationPrincipal(name))
    if (principal !== undefined) return principal
    throw new SluiceError('login_required', `anonymous clients are the application "${name}", which does not exist`)
  }

  /** `known` is who it was before, which counts on while the registry does not answer. */
  async #verify(key: string, login: Login, known: Principal | undefined): Promise<Outcome | undefined> {
    const before = this.#cache.changes
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const { changes } = this.#cache
      const found = await this.#askFor(login, known, before)
      if (found === 'stale' && known !== undefined) return { principal: known, result: 'ok_stale' }
      if (found === undefined || found === 'stale') break
      // The answer may be older than a change that came while we waited for it.
      if (this.#cache.changedSince(found.name, changes)) continue
      this.#cache.keep(key, found, changes)
      return { principal: found, result: 'ok' }
    }
    this.#cache.reject(key, before)
    return undefined
  }

  async #askFor(login: Login, known: Principal | undefined, changes: number): Promise<Principal | undefined | 'stale'> {
    try {
      const asked = this.#ask(() => whoIs(this.#registry, login))
      return await (known === undefined ? asked : inTime(asked, KNOWN_WAIT_MS, 'registry_unavailable'))
    } catch (error) {
      if (known === undefined || this.#cache.changedSince(known.name, changes)) throw error
      this.#awayUntil = performance.now() + ASK_AGAIN_MS
      return 'stale'
    }
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

  #hash({ username, password, certificateName }: Login): string {
    const hmac = createHmac('sha256', this.#cacheKey)
    // Each text begins with what it is, or with a length, so no two logins are the same text.
    if (certificateName !== undefined) return hmac.update(`certificate:${certificateName}`).digest('base64')
    const name = username ?? ''
    return hmac
      .update(`${Buffer.byteLength(name)}:${name}`)
      .update(password ?? '')
      .digest('base64')
  }

  #expose(metrics: Metrics): void {
    gaugeOf(metrics, 'sluice_broker_login_cache_entries', 'Verified logins in the cache', () => this.#cache.size)
    gaugeOf(
      metrics,
      'sluice_broker_failed_login_addresses',
      'Addresses with recent failed logins',
      () => this.#failed.size,
    )
  }
}

/** Why a login cannot be one, without asking the registry. */
function impossible({ username, password, certificateName }: Login): string | undefined {
  if (certificateName !== undefined && username !== undefined && username !== certificateName) {
    return 'the username is not the name on the certificate'
  }
  const isLong = Math.max(username?.length ?? 0, certificateName?.length ?? 0) > MAX_CREDENTIAL_BYTES
  if (!isLong && (password?.byteLength ?? 0) <= MAX_CREDENTIAL_BYTES) return undefined
  return 'username or password is too long to be valid'
}

function whoIs(registry: Registry, { username, password, certificateName }: Login): Promise<Principal | undefined> {
  if (certificateName !== undefined) return registry.principalNamed(certificateName)
  const name = username ?? ''
  if (password === undefined || password.byteLength === 0) return registry.verifyToken(name)
  return registry.verifySecret(name, Buffer.from(password).toString('utf8'))
}

function failure(login: Login, reason = 'unknown username, or secret or token does not match'): SluiceError {
  return new SluiceError('login_failed', `${describeLogin(login)}: ${reason}`)
}
