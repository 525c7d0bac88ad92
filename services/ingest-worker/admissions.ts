import { LruMap } from '../../shared/lru.ts'
import type { DeviceNames } from '../../shared/registry/names-port.ts'
import type { Admission, Registry } from '../../shared/registry/port.ts'
import { deviceKey } from '../../shared/topics.ts'
import type { Retry } from './retry.ts'

/** Refusals that are kept, so that an unknown device is not asked about with each record that names it. */
const MAX_REFUSED = 10_000
/** So long. */
const REFUSED_MS = 10_000

/** Why there is no such device, for a person. */
const DETAILS: Readonly<Record<Exclude<Admission, 'known' | 'made'>, string>> = {
  unknown: 'there is no device',
  removed: 'a login makes no device again that was removed:',
  too_many: 'the login has made as many devices in this hour as it may, and there is none called',
}

/** Devices that an application's records name: made where their login may make devices, as on the devices' own topics. */
export class Admissions {
  readonly #registry: Pick<Registry, 'admitDevice'> & { readonly names: DeviceNames }
  readonly #retry: Retry
  readonly #refused = new LruMap<string, { readonly detail: string; readonly atMs: number }>(MAX_REFUSED)

  constructor(options: { registry: Pick<Registry, 'admitDevice'> & { readonly names: DeviceNames }; retry: Retry }) {
    this.#registry = options.registry
    this.#retry = options.retry
  }

  /** Undefined for a device that there is, else what is told; waits for a registry that does not answer. */
  async refusalOf(login: string | undefined, tenant: string, device: string): Promise<string | undefined> {
    if (this.#registry.names.isKnown(tenant, device)) return undefined
    const told = (why: string) => `${why} ${JSON.stringify(device)}`
    if (login === undefined) return told(DETAILS.unknown)
    const key = `${login} ${deviceKey(tenant, device)}`
    const refused = this.#refused.get(key)
    if (refused !== undefined && performance.now() - refused.atMs < REFUSED_MS) return refused.detail
    const answer = await this.#retry.run('registry', () => this.#registry.admitDevice(login, { tenant, device }))
    if (answer === 'known' || answer === 'made') return undefined
    const detail = told(DETAILS[answer])
    this.#refused.set(key, { detail, atMs: performance.now() })
    return detail
  }
}
