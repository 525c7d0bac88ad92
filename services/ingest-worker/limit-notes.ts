import { toSluiceError } from '../../shared/errors.ts'
import { LruMap } from '../../shared/lru.ts'
import type { Logger } from '../../shared/process/logger.ts'
import { FIELDS_LIMIT, type DeviceLimitRecord } from '../../shared/registry/presence-port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { deviceKey } from '../../shared/topics.ts'

/** Devices of which it is known since when; more than ever misbehave together. */
const MAX_DEVICES = 1_000
/** Quiet for so long, the limit has stopped acting. */
const EPISODE_MS = 60_000
/** What acts on every message is written down so often. */
const WRITE_EVERY_MS = 1_000

type Hit = { -readonly [K in keyof DeviceLimitRecord]: DeviceLimitRecord[K] }

/**
 * Writes down, beside what the brokers write, which devices make more fields than they may: for whoever looks at the device,
 * and for the device, which its broker tells. A courtesy: what the registry does not take is written when it acts again.
 */
export class LimitNotes {
  readonly #registry: Pick<Registry, 'presence' | 'names'>
  readonly #logger: Logger
  readonly #hits = new LruMap<string, Hit>(MAX_DEVICES)
  readonly #changed = new Map<string, Hit>()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor({ registry, logger }: { registry: Pick<Registry, 'presence' | 'names'>; logger: Logger }) {
    this.#registry = registry
    this.#logger = logger
  }

  /** The limit has refused so many fields of a device. */
  acted(tenant: string, uid: string, limit: number, fields: number): void {
    const key = deviceKey(tenant, uid)
    const now = Date.now()
    const known = this.#hits.get(key)
    const isSame = known !== undefined && now - known.lastMs < EPISODE_MS
    const device = this.#registry.names.nameOf(tenant, uid)
    const begun = { tenant, device, code: FIELDS_LIMIT, limit, sinceMs: now, lastMs: now, count: 0 }
    const hit = isSame ? known : begun
    hit.count += fields
    hit.lastMs = now
    hit.limit = limit
    this.#hits.set(key, hit)
    if (!this.#changed.has(key) && this.#changed.size >= MAX_DEVICES) return
    this.#changed.set(key, hit)
    this.#timer ??= setTimeout(() => this.#write(), WRITE_EVERY_MS).unref()
  }

  /** Writes what there is, once. */
  async close(): Promise<void> {
    if (this.#timer !== undefined) this.#write()
    await this.#writing
  }

  #write(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const hits = [...this.#changed.values()]
    this.#changed.clear()
    this.#writing = this.#writing.then(() => this.#record(hits))
  }

  async #record(hits: readonly DeviceLimitRecord[]): Promise<void> {
    try {
      await this.#registry.presence.recordLimits(hits)
    } catch (error) {
      this.#logger.debug({ code: toSluiceError(error).code }, 'limits of devices are not recorded')
    }
  }
}
