import { BACKOFF, backoffMs, pause } from '../../../shared/backoff.ts'
import { toSluiceError } from '../../../shared/errors.ts'
import { LruMap } from '../../../shared/lru.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'
import type { Admission, Registry } from '../../../shared/registry/port.ts'
import { deviceKey, parseTelemetryTopic } from '../../../shared/topics.ts'

/** Refusals that are kept, so that an unknown device is not asked about with each of its messages. */
const MAX_REFUSED = 10_000
/** So long; what changes in the registry ends them all. */
const REFUSED_MS = 10_000

/** Why a device is not made, for a person. */
const DETAILS: Readonly<Record<Exclude<Admission, 'known' | 'made'>, string>> = {
  unknown: 'there is no such device',
  removed: 'the device was removed: a login makes none of those again, somebody has to',
  too_many: 'the login has made as many devices in this hour as it may',
}

interface Refused {
  readonly detail: string
  readonly atMs: number
}

/**
 * Telemetry that an application publishes for a device which this node does not know. The registry is asked, and makes it
 * where the login may; the connection waits meanwhile, because until then there is nothing to acknowledge. While the registry
 * does not answer, what was refused before is refused, and what is new waits with its connection.
 */
export class NewDevices {
  readonly #registry: Pick<Registry, 'admitDevice' | 'names'>
  readonly #logger: Logger
  readonly #refused = new LruMap<string, Refused>(MAX_REFUSED)
  /** By login and device: who goes on when it is decided. One for each connection at most. */
  readonly #asking = new Map<string, Set<() => void>>()
  readonly #unsubscribe: () => void
  readonly #ending = new AbortController()
  #changes = 0

  constructor(options: {
    registry: Pick<Registry, 'admitDevice' | 'names' | 'onChange'>
    logger: Logger
    metrics: Metrics
  }) {
    this.#registry = options.registry
    this.#logger = options.logger
    this.#unsubscribe = options.registry.onChange(() => {
      this.#changes += 1
      this.#refused.clear()
    })
    const help = 'Devices that applications publish for, and that the registry is being asked about'
    gaugeOf(options.metrics, 'sluice_broker_devices_asked', help, () => this.#asking.size)
  }

  /** Whether the device of a telemetry topic is known here. */
  isKnown(topic: string): boolean {
    const named = parseTelemetryTopic(topic)
    return named === undefined || this.#registry.names.isKnown(named.tenant, named.device)
  }

  /** Undefined for a device that is known, else why it is refused, or `waiting`: `again` is called once when that is over. */
  refusalOf(login: string, topic: string, again: () => void): string | undefined {
    const named = parseTelemetryTopic(topic)
    if (named === undefined || this.#registry.names.isKnown(named.tenant, named.device)) return undefined
    const key = `${login} ${deviceKey(named.tenant, named.device)}`
    const refused = this.#refused.get(key)
    if (refused !== undefined && performance.now() - refused.atMs < REFUSED_MS) return refused.detail
    const waiting = this.#asking.get(key)
    if (waiting !== undefined) waiting.add(again)
    else {
      this.#asking.set(key, new Set([again]))
      void this.#ask(key, login, named)
    }
    return WAITING
  }

  close(): void {
    this.#unsubscribe()
    this.#ending.abort()
    this.#asking.clear()
  }

  /** Never rejects. */
  async #ask(key: string, login: string, device: { tenant: string; device: string }): Promise<void> {
    for (let attempt = 1; !this.#ending.signal.aborted; attempt += 1) {
      const changes = this.#changes
      try {
        const answer = await this.#registry.admitDevice(login, device)
        if (answer !== 'known' && answer !== 'made' && changes === this.#changes) this.#refuse(key, DETAILS[answer])
        break
      } catch (error) {
        const { code, canRetry, message } = toSluiceError(error)
        const before = this.#refused.peek(key)
        this.#logger.debug({ code, who: login }, 'it is not known whether a device exists')
        if (before !== undefined || !canRetry) {
          this.#refuse(key, before?.detail ?? message)
          break
        }
        await pause(backoffMs(BACKOFF.rules, attempt), this.#ending.signal)
      }
    }
    const waiting = this.#asking.get(key) ?? []
    this.#asking.delete(key)
    for (const again of waiting) again()
  }

  #refuse(key: string, detail: string): void {
    this.#refused.set(key, { detail, atMs: performance.now() })
  }
}

/** Of {@link NewDevices.refusalOf}. */
export const WAITING = 'waiting'
