import { Counter } from 'prom-client'
import { LruMap } from '../../../shared/lru.ts'
import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'
import type { Principal } from '../../../shared/registry/port.ts'
import type { RateName } from '../../../shared/rates.ts'

/** Limits that act on a login. Those of an address, before any login, are the listeners'. */
export type LimitName = RateName | 'in_flight' | 'packet_size' | 'topic' | 'subscriptions' | 'sessions' | 'will'

export const LIMIT_NAMES: readonly LimitName[] = [
  ...(['message_rate', 'byte_rate', 'tenant_message_rate', 'tenant_byte_rate'] as const),
  ...(['in_flight', 'packet_size', 'topic', 'subscriptions', 'sessions', 'will'] as const),
]

/** A limit that acts, or did: for as long as it does so again within a minute it is one hit. */
export interface LimitHit {
  /** The login. */
  readonly who: string
  readonly code: LimitName
  /** The limit itself, in its unit: messages, bytes, levels; 0 for a will, which may not be there. */
  readonly limit: number
  readonly sinceMs: number
  readonly lastMs: number
  /** How often it acted. */
  readonly count: number
}

type KeptHit = { -readonly [K in keyof LimitHit]: LimitHit[K] } & { toldMs: number }

export interface LimitReportsOptions {
  readonly metrics: Metrics
  /** Tells a device, at most once a minute per limit. */
  readonly notify: (device: Principal & { kind: 'device' }, hit: LimitHit) => void
  /** Wall clock in ms. */
  readonly now?: () => number
}

/** Quiet for so long, a limit has stopped acting; and a device is told of one at most so often. */
const EPISODE_MS = 60_000
/** Hits that are known at once: more logins than ever misbehave together. The oldest go first. */
const MAX_HITS = 10_000
/** Notices of a node per second: they are a courtesy, and must not become a load of their own. */
const MAX_NOTICES_PER_SECOND = 100

/** Which limits act on whom: counted for the operator, told to the device, kept for the API. */
export class LimitReports {
  readonly #notify: LimitReportsOptions['notify']
  readonly #now: () => number
  readonly #hits = new LruMap<string, KeptHit>(MAX_HITS)
  /** Hits that were not taken since they changed. */
  readonly #changed = new Set<KeptHit>()
  readonly #acted: Counter<'limit'>
  readonly #notTold: Counter
  #second = 0
  #told = 0

  constructor({ metrics, notify, now = Date.now }: LimitReportsOptions) {
    this.#notify = notify
    this.#now = now
    this.#acted = new Counter({
      name: 'sluice_broker_limits_total',
      help: 'Times that a limit was applied to a login, by limit',
      labelNames: ['limit'],
      registers: [metrics],
    })
    for (const limit of LIMIT_NAMES) this.#acted.inc({ limit }, 0)
    this.#notTold = new Counter({
      name: 'sluice_broker_limit_notices_dropped_total',
      help: 'Limit notices not sent, because a node sends at most a hundred a second',
      registers: [metrics],
    })
    gaugeOf(metrics, 'sluice_broker_limit_hits', 'Pairs of login and limit kept in memory', () => this.#hits.size)
  }

  /** A limit acted on a login. Cheap: it may happen to every message. */
  acted(principal: Principal, code: LimitName, limit: number): void {
    this.#acted.inc({ limit: code })
    const now = this.#now()
    const key = `${code} ${principal.name}`
    const known = this.#hits.get(key)
    const hit = known !== undefined && now - known.lastMs < EPISODE_MS ? known : this.#begin(key, principal, code, now)
    hit.count += 1
    hit.lastMs = now
    hit.limit = limit
    this.#changed.add(hit)
    if (principal.kind !== 'device' || now - hit.toldMs < EPISODE_MS) return
    hit.toldMs = now
    if (this.#mayTell(now)) this.#notify(principal, hit)
    else this.#notTold.inc()
  }

  /** The hits that changed since the last call, to be written down. */
  takeChanged(): readonly LimitHit[] {
    const taken = [...this.#changed].map(({ toldMs: _, ...hit }) => hit)
    this.#changed.clear()
    return taken
  }

  #begin(key: string, { name: who }: Principal, code: LimitName, now: number): KeptHit {
    const hit: KeptHit = { who, code, limit: 0, sinceMs: now, lastMs: now, count: 0, toldMs: -Infinity }
    const dropped = this.#hits.set(key, hit)
    if (dropped !== undefined) this.#changed.delete(dropped)
    return hit
  }

  #mayTell(now: number): boolean {
    const second = Math.floor(now / 1000)
    if (second !== this.#second) this.#told = 0
    this.#second = second
    this.#told += 1
    return this.#told <= MAX_NOTICES_PER_SECOND
  }
}

/** What a device is told on its `notice` topic. */
export function noticeOf(hit: { readonly code: string; readonly limit: number; readonly sinceMs: number }): Buffer {
  const { code, limit, sinceMs } = hit
  return Buffer.from(JSON.stringify({ code, limit, since: new Date(sinceMs).toISOString() }))
}
