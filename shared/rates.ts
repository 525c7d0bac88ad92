import { gaugeOf, type Metrics } from './process/metrics.ts'
import type { Principal } from './registry/port.ts'

/** What is counted, and for whom. */
export type RateName = 'message_rate' | 'byte_rate' | 'tenant_message_rate' | 'tenant_byte_rate'

/** Per second; 0 is no limit. */
export interface RateSettings {
  readonly DEVICE_MESSAGES_PER_SECOND: number
  readonly DEVICE_BYTES_PER_SECOND: number
  readonly TENANT_MESSAGES_PER_SECOND: number
  readonly TENANT_BYTES_PER_SECOND: number
  /** Seconds of a rate that may come at once. */
  readonly RATE_BURST_SECONDS: number
}

/** A limit of a rate: how many messages or bytes per second. */
export interface Rate {
  readonly name: RateName
  readonly rate: number
}

/** A bucket that fills with `rate` tokens a second up to its size, and may be overdrawn by one message. */
class Bucket implements Rate {
  readonly name: RateName
  readonly rate: number
  readonly #size: number
  #tokens: number
  #filledMs: number

  constructor(name: RateName, rate: number, burstSeconds: number, nowMs: number) {
    this.name = name
    this.rate = rate
    // A bucket smaller than one message would never let anything through.
    this.#size = Math.max(rate * burstSeconds, 1)
    this.#tokens = this.#size
    this.#filledMs = nowMs
  }

  /** One token is enough: a message of more bytes than the bucket holds passes too, and is paid for afterwards. */
  hasRoom(nowMs: number): boolean {
    if (nowMs > this.#filledMs) {
      this.#tokens = Math.min(this.#size, this.#tokens + ((nowMs - this.#filledMs) * this.rate) / 1000)
      this.#filledMs = nowMs
    }
    return this.#tokens >= 1
  }

  take(count: number): void {
    this.#tokens -= count
  }

  /** Milliseconds until there is room. */
  waitMs(nowMs: number): number {
    return this.hasRoom(nowMs) ? 0 : Math.ceil(((1 - this.#tokens) * 1000) / this.rate)
  }

  isFull(nowMs: number): boolean {
    this.hasRoom(nowMs)
    return this.#tokens >= this.#size
  }
}

/** What one login may still send; shared by all its connections to this node, and in part by its tenant's. */
export class Allowance {
  readonly #messages: readonly Bucket[]
  readonly #bytes: readonly Bucket[]
  readonly #now: () => number

  constructor(buckets: readonly Bucket[], now: () => number) {
    this.#messages = buckets.filter(({ name }) => name.endsWith('message_rate'))
    this.#bytes = buckets.filter(({ name }) => name.endsWith('byte_rate'))
    this.#now = now
  }

  /** The rate that a message has to wait for; undefined when there is room. */
  lacks(): Rate | undefined {
    const now = this.#now()
    for (const bucket of this.#messages) if (!bucket.hasRoom(now)) return bucket
    for (const bucket of this.#bytes) if (!bucket.hasRoom(now)) return bucket
    return undefined
  }

  /** Milliseconds until a message need not wait. */
  waitMs(): number {
    const now = this.#now()
    return Math.max(0, ...[...this.#messages, ...this.#bytes].map((bucket) => bucket.waitMs(now)))
  }

  /** A message was taken. */
  take(bytes: number): void {
    for (const bucket of this.#messages) bucket.take(1)
    for (const bucket of this.#bytes) bucket.take(bytes)
  }
}

interface Kept {
  readonly buckets: readonly Bucket[]
  users: number
}

/** A connection that waits for its rate. */
export interface Paced {
  progress(): void
}

/** Rates that are remembered of who has left and not made up for what it sent; at 200 bytes each 20 MB. The oldest go first. */
const MAX_LEFT = 100_000
/** How often those that wait try again: often enough for a smooth flow, too rarely to cost anything. */
const RETRY_MS = 50

/**
 * Message and byte rates per login and per tenant, on this node, over MQTT and HTTP together where one process has both. A
 * rate slows the reading of a socket and never closes it, and over HTTP says when to come back; without a limit there is no
 * allowance, and nothing is counted. What is used up stays used up for who leaves and comes again.
 */
export class Rates {
  readonly #settings: RateSettings
  readonly #now: () => number
  readonly #kept = new Map<string, Kept>()
  /** Keys of `#kept` that nobody uses, who left first is first. */
  readonly #left = new Set<string>()
  readonly #waiting = new Set<Paced>()
  #timer: NodeJS.Timeout | undefined

  constructor(settings: RateSettings, metrics?: Metrics, now: () => number = () => performance.now()) {
    this.#settings = settings
    this.#now = now
    if (metrics === undefined) return
    const help = 'Logins and tenants of which it is remembered how much of their rates they have used up'
    gaugeOf(metrics, 'sluice_rates_kept', help, () => this.size)
  }

  /** Logins and tenants whose rates are remembered. */
  get size(): number {
    return this.#kept.size
  }

  /** Connections that wait for their rate. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** What a login may send, and what to call once when its connection has ended; undefined when nothing is limited. */
  enter(principal: Principal): { readonly allowance: Allowance; readonly leave: () => void } | undefined {
    const settings = this.#settings
    const own = this.#keep(`login ${principal.name}`, [
      ['message_rate', settings.DEVICE_MESSAGES_PER_SECOND],
      ['byte_rate', settings.DEVICE_BYTES_PER_SECOND],
    ])
    const ofTenant = this.#keep(principal.kind === 'device' ? `tenant ${principal.tenant}` : undefined, [
      ['tenant_message_rate', settings.TENANT_MESSAGES_PER_SECOND],
      ['tenant_byte_rate', settings.TENANT_BYTES_PER_SECOND],
    ])
    const buckets = [...own.buckets, ...ofTenant.buckets]
    if (buckets.length === 0) return undefined
    const leave = (): void => {
      own.leave()
      ofTenant.leave()
    }
    return { allowance: new Allowance(buckets, this.#now), leave }
  }

  /** Calls `progress` soon; it waits again when that was too soon. */
  wait(connection: Paced): void {
    this.#waiting.add(connection)
    this.#timer ??= setInterval(() => this.#retry(), RETRY_MS)
  }

  forget(connection: Paced): void {
    this.#waiting.delete(connection)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#waiting.clear()
  }

  #retry(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const connection of waiting) connection.progress()
    if (this.#waiting.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Applications have no tenant: without a key nothing is kept. */
  #keep(key: string | undefined, rates: readonly (readonly [RateName, number])[]) {
    const limited = rates.filter(([, rate]) => rate > 0)
    if (key === undefined || limited.length === 0) return { buckets: [], leave: () => undefined }
    this.#forgetFull()
    const { RATE_BURST_SECONDS: burst } = this.#settings
    const known = this.#kept.get(key)
    const buckets = known?.buckets ?? limited.map(([name, rate]) => new Bucket(name, rate, burst, this.#now()))
    const kept = known ?? { buckets, users: 0 }
    kept.users += 1
    this.#kept.set(key, kept)
    this.#left.delete(key)
    const leave = (): void => {
      kept.users -= 1
      if (kept.users === 0) this.#left.add(key)
    }
    return { buckets, leave }
  }

  /** Those of who left that are full again tell nothing more. The first have left first, and are mostly full first. */
  #forgetFull(): void {
    const now = this.#now()
    for (const key of this.#left) {
      const isFull = this.#kept.get(key)?.buckets.every((bucket) => bucket.isFull(now)) ?? true
      if (!isFull && this.#left.size <= MAX_LEFT) return
      this.#left.delete(key)
      this.#kept.delete(key)
    }
  }
}
