import type { FastifyRequest } from 'fastify'
import { Counter } from 'prom-client'
import { SluiceError } from '../../shared/errors.ts'
import { LruMap } from '../../shared/lru.ts'
import type { Metrics } from '../../shared/process/metrics.ts'
import type { Principal, Registry } from '../../shared/registry/port.ts'
import { hashOf, isSessionToken, type BrowserSessions } from './browser-sessions.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Address of the client, behind the proxies of HTTP_PROXY_FROM. */
    client: string
    /** Whether a proxy that is not listed handed the request on, and says so. */
    isHandedOn: boolean
    /** Name of the API key or login that made the request; empty before it is known. */
    who: string
    /** Set when the request came with the token of a device or application instead of an API key. */
    principal: Principal | undefined
    /** The token of the browser's session that made the request. */
    session: string | undefined
  }
  interface FastifyContextConfig {
    /** The route also takes the token of a device or application, and checks its rules itself. */
    acceptsLoginToken?: boolean
  }
}

/** How long a key that was removed may still be taken. */
const KEPT_MS = 30_000
/** API keys in use at a time; a handful is usual. */
const MAX_KEPT = 1000

/**
 * Who makes a request. Errors: `token_missing`, `token_invalid`, `session_ended`, `registry_unavailable`.
 * There is no limit of failed attempts: keys are random, at least 128 bits, and never guessed, while a limit by address
 * would let one stale script lock out everybody behind the same proxy.
 */
export class Authentication {
  readonly #registry: Registry
  readonly #sessions: BrowserSessions
  /** By the hash of the key, so that lookups tell nothing of a key by their time. */
  readonly #known = new LruMap<string, { name: string; untilMs: number }>(MAX_KEPT)
  readonly #failures: Counter

  constructor(registry: Registry, sessions: BrowserSessions, metrics: Metrics) {
    this.#registry = registry
    this.#sessions = sessions
    this.#failures = new Counter({
      name: 'sluice_http_auth_failures_total',
      help: 'HTTP requests without a valid token',
      registers: [metrics],
    })
  }

  /** Sets `who` of the request (and `principal` where the route takes login tokens). */
  async check(request: FastifyRequest): Promise<void> {
    const token = presentedToken(request)
    if (token === undefined) {
      this.#failures.inc()
      throw new SluiceError('token_missing', 'The request has no bearer token.')
    }
    if (isSessionToken(token)) {
      request.who = await this.#nameOfSession(token)
      request.session = token
      return
    }
    const name = await this.nameOf(token)
    if (name !== undefined) {
      request.who = name
      return
    }
    const accepts = request.routeOptions.config.acceptsLoginToken === true
    const principal = accepts ? await this.#registry.verifyToken(token) : undefined
    if (principal === undefined) {
      this.#failures.inc()
      throw new SluiceError('token_invalid', 'The bearer token is not a known API key.')
    }
    request.who = principal.name
    request.principal = principal
  }

  /** Sets `who` and `principal` of a request that came with the token of a login; an API key has no tenant to write to. */
  async checkLogin(request: FastifyRequest, token: string): Promise<void> {
    const principal = await this.#registry.verifyToken(token)
    if (principal === undefined) {
      this.#failures.inc()
      throw new SluiceError('token_invalid', 'The token is not that of a device or an application.')
    }
    request.who = principal.name
    request.principal = principal
  }

  /** A session has the rights of its key, for as long as that is one. */
  async #nameOfSession(token: string): Promise<string> {
    const key = this.#sessions.keyOf(token)
    const name = key === undefined ? undefined : await this.nameOf(key)
    if (name !== undefined) return name
    this.#sessions.end(token, 'key_removed')
    this.#failures.inc()
    throw new SluiceError('session_ended', 'The session has ended, or was never one of this server.')
  }

  /** Name of an API key; undefined when it is none. */
  async nameOf(token: string): Promise<string | undefined> {
    const hash = hashOf(token)
    const known = this.#known.get(hash)
    if (known !== undefined && known.untilMs > Date.now()) return known.name
    const name = await this.#registry.verifyApiKey(token)
    if (name === undefined) return undefined
    this.#known.set(hash, { name, untilMs: Date.now() + KEPT_MS })
    return name
  }
}

function presentedToken(request: FastifyRequest): string | undefined {
  return /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
}
