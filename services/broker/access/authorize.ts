import { Counter } from 'prom-client'
import * as acl from '../../../shared/acl.ts'
import { canPublishAs } from '../../../shared/former-names.ts'
import { BACKOFF, backoffMs } from '../../../shared/backoff.ts'
import { toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { LruMap } from '../../../shared/lru.ts'
import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'
import type { LoginState, Principal, Registry, RuleAction } from '../../../shared/registry/port.ts'

export interface Authorizer {
  /** Grows whenever a verdict may have changed: verdicts that are kept are kept for one epoch. */
  readonly epoch: number
  /**
   * Notes a login; from now on its rules are kept current. The result is to be called once, when the connection has
   * ended. Call it in the turn in which `authenticate` resolved, or while it is logged in.
   */
  login(principal: Principal): () => void
  /** The verdicts of shared/acl.ts by the rules in force now; of one that was revoked: no. */
  canPublish(principal: Principal, topic: string): boolean
  canSubscribe(principal: Principal, filter: string): boolean
  canReceive(principal: Principal, topic: string): boolean
  /** Why; not for hot paths. */
  explain(principal: Principal, action: RuleAction, topicOrFilter: string): acl.Explanation
  /**
   * Called with the name of a principal that was removed, revoked or disabled: what is kept for it is to go, and, when it
   * was logged in here, its connections are to be closed.
   */
  onRevoked(listener: RevokedListener): () => void
  close(): void
}

export type RevokedListener = (name: string, wasLoggedIn: boolean) => void

export type AuthorizerOptions = Readonly<{ registry: Registry; logger: Logger; metrics: Metrics }>

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  return new LiveAuthorizer(options)
}

/** Names that changed while no client was logged in with them: far more than change while one login is on its way. */
const MAX_CHANGED = 10_000

/** One name that is logged in, however often. */
interface Active {
  readonly name: string
  readonly kind: Principal['kind']
  /** Wall clock at the first login. One that was created later is another principal with the same name. */
  readonly sinceMs: number
  /** The principals as they logged in, one per connection. */
  readonly logins: Set<{ readonly principal: Principal }>
  /** Newer rules than those the principals came with. */
  current: Principal | undefined
  refresh: 'idle' | 'running' | 'again'
}

function newActive(name: string, kind: Principal['kind']): Active {
  return { name, kind, sinceMs: Date.now(), logins: new Set(), current: undefined, refresh: 'idle' }
}

/** A login as the registry has it now. */
interface Found {
  readonly disabled: boolean
  /** Since when logins of the name are good: later ones than its last end, on the clock of who ended it. */
  readonly validMs: number
  /** With its present rules; undefined for a device, whose rules follow from its name. */
  readonly principal: Principal | undefined
  /** Of a device: another one has another. */
  readonly uid: string | undefined
}

function validity({ createdMs, login }: { createdMs: number; login: LoginState }): Pick<Found, 'disabled' | 'validMs'> {
  return { disabled: login.disabled, validMs: Math.max(createdMs, login.endedMs ?? 0) }
}

/** Not when it was removed and made again, or disabled and enabled: the same name, but not the login that was verified. */
function isStill({ disabled, validMs, uid }: Found, { sinceMs, logins }: Active): boolean {
  if (disabled || validMs > sinceMs) return false
  return [...logins].every(({ principal }) => principal.kind !== 'device' || principal.uid === uid)
}

class LiveAuthorizer implements Authorizer {
  readonly #registry: Registry
  readonly #logger: Logger
  readonly #active = new Map<string, Active>()
  /** Outlives the connection: the will of a revoked principal is refused too. */
  readonly #revoked = new WeakSet<Principal>()
  readonly #changed = new LruMap<string, true>(MAX_CHANGED)
  readonly #listeners = new Set<RevokedListener>()
  readonly #retries = new Map<string, NodeJS.Timeout>()
  readonly #unsubscribe: () => void
  readonly #revocations: Counter
  #epoch = 0
  #closed = false

  constructor({ registry, logger, metrics }: AuthorizerOptions) {
    this.#registry = registry
    this.#logger = logger
    this.#unsubscribe = registry.onChange((name, ended) => this.#noteChange(name, ended))
    this.#revocations = new Counter({
      name: 'sluice_broker_revocations_total',
      help: 'Logins revoked while connected',
      registers: [metrics],
    })
    const help = 'Distinct logins (devices and applications) that are connected'
    gaugeOf(metrics, 'sluice_broker_principals', help, () => this.#active.size)
  }

  get epoch(): number {
    const { names, policies, watches } = this.#registry
    return this.#epoch + names.epoch + policies.epoch + watches.epoch
  }

  login(principal: Principal): () => void {
    const { name, kind } = principal
    const known = this.#active.get(name)
    const active = known ?? newActive(name, kind)
    if (known === undefined) this.#active.set(name, active)
    const login = { principal }
    active.logins.add(login)
    // It may have been removed after it was verified and before it came here.
    if (this.#changed.delete(name)) this.#refresh(active)
    return () => {
      active.logins.delete(login)
      if (active.logins.size === 0) this.#forget(active)
    }
  }

  canPublish(principal: Principal, topic: string): boolean {
    const current = this.#inForce(principal)
    return current !== undefined && canPublishAs(this.#registry.names, current, topic)
  }

  canSubscribe(principal: Principal, filter: string): boolean {
    const current = this.#inForce(principal)
    return current !== undefined && acl.canSubscribe(current, filter)
  }

  canReceive(principal: Principal, topic: string): boolean {
    const current = this.#inForce(principal)
    return current !== undefined && acl.canReceive(current, topic)
  }

  explain(principal: Principal, action: RuleAction, topicOrFilter: string): acl.Explanation {
    const current = this.#inForce(principal)
    if (current !== undefined) return acl.explain(current, action, topicOrFilter)
    return { allowed: false, rule: undefined, reason: `${JSON.stringify(principal.name)} was removed` }
  }

  onRevoked(listener: RevokedListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#closed = true
    this.#unsubscribe()
    for (const timer of this.#retries.values()) clearTimeout(timer)
    this.#retries.clear()
    this.#listeners.clear()
  }

  #inForce(principal: Principal): Principal | undefined {
    if (this.#revoked.has(principal)) return undefined
    return this.#active.get(principal.name)?.current ?? principal
  }

  #noteChange(name: string, ended: boolean): void {
    const active = this.#active.get(name)
    if (active !== undefined) return this.#refresh(active)
    this.#changed.set(name, true)
    if (ended) this.#tellRevoked(name, false)
  }

  /** One look-up at a time per name; a change during one leads to another one after it. Never rejects. */
  #refresh(active: Active): void {
    const running = active.refresh !== 'idle'
    active.refresh = running ? 'again' : 'running'
    if (!running) void this.#lookUp(active)
  }

  async #lookUp(active: Active): Promise<void> {
    try {
      const found = await this.#find(active)
      if (this.#closed || this.#active.get(active.name) !== active) return
      if (found === undefined || !isStill(found, active)) return this.#revoke(active)
      if (found.principal !== undefined) {
        active.current = found.principal
        this.#epoch += 1
      }
    } catch (error) {
      this.#retry(active, error)
    } finally {
      const again = active.refresh === 'again'
      active.refresh = 'idle'
      if (again && !this.#closed) this.#refresh(active)
    }
  }

  async #find({ name, kind }: Active): Promise<Found | undefined> {
    if (kind === 'application') {
      const application = await this.#registry.getApplication(name)
      if (application === undefined) return undefined
      return { ...validity(application), principal: { kind, name, rules: application.rules }, uid: undefined }
    }
    const slash = name.indexOf('/')
    const device = await this.#registry.getDevice(name.slice(0, slash), name.slice(slash + 1))
    return device === undefined ? undefined : { ...validity(device), principal: undefined, uid: device.uid }
  }

  #revoke(active: Active): void {
    for (const { principal } of active.logins) this.#revoked.add(principal)
    this.#forget(active)
    this.#epoch += 1
    this.#revocations.inc()
    this.#logger.info({ who: active.name }, 'login revoked')
    this.#tellRevoked(active.name, true)
  }

  #tellRevoked(name: string, wasLoggedIn: boolean): void {
    for (const listener of this.#listeners) {
      try {
        listener(name, wasLoggedIn)
      } catch (error) {
        this.#logger.error({ err: error, who: name }, 'cannot close the connections of a revoked login')
      }
    }
  }

  #retry(active: Active, error: unknown): void {
    if (this.#closed || this.#retries.has(active.name) || this.#active.get(active.name) !== active) return
    this.#logger.warn({ code: toSluiceError(error).code, who: active.name }, 'cannot read changed rules')
    const again = (): void => {
      this.#retries.delete(active.name)
      this.#refresh(active)
    }
    const timer = setTimeout(again, backoffMs(BACKOFF.rules, 1))
    this.#retries.set(active.name, timer.unref())
  }

  #forget(active: Active): void {
    if (this.#active.get(active.name) !== active) return
    this.#active.delete(active.name)
    clearTimeout(this.#retries.get(active.name))
    this.#retries.delete(active.name)
  }
}
