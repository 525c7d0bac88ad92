import { MemoryPolicies, NO_WATCHES } from '../../../fakes/memory-policies.ts'
import { SAME_NAMES } from '../../../../shared/registry/names-port.ts'
import type {
  AclRule,
  Application,
  ChangeListener,
  Device,
  Principal,
  Registry,
} from '../../../../shared/registry/port.ts'

const ENABLED = { disabled: false, endedMs: undefined }

/** The part of a registry that logins need, in memory, with its questions counted and its answers under control. */
export class LoginRegistry {
  /** Secrets by username, names by token. */
  readonly secrets = new Map<string, string>()
  readonly tokens = new Map<string, string>()
  readonly applications = new Map<string, Application>()
  readonly devices = new Map<string, Device>()
  readonly #listeners = new Set<ChangeListener>()
  questions = 0
  /** Awaited after the answer is known and before it is given. */
  beforeAnswer: () => Promise<void> = async () => {}
  failure: Error | undefined
  /** Nothing is answered. */
  hangs = false

  get listeners(): number {
    return this.#listeners.size
  }

  addDevice(name: string, secret: string, createdMs = Date.now()): void {
    const [tenant = '', device = ''] = name.split('/')
    this.devices.set(name, { tenant, device, uid: device, tags: {}, createdMs, lastSeenMs: undefined, login: ENABLED })
    this.secrets.set(name, secret)
    this.change(name)
  }

  removeDevice(name: string): void {
    this.devices.delete(name)
    this.secrets.delete(name)
    this.change(name)
  }

  setApplication(name: string, rules: readonly AclRule[], createdMs = Date.now()): void {
    this.applications.set(name, { name, rules, createsDevices: false, createdMs, login: ENABLED })
    this.change(name)
  }

  removeApplication(name: string): void {
    this.applications.delete(name)
    this.change(name)
  }

  change(name: string, ended = false): void {
    for (const listener of this.#listeners) listener(name, ended)
  }

  asRegistry(): Registry {
    const parts: Partial<Registry> = {
      verifySecret: (username, secret) =>
        this.#answer(() => (this.secrets.get(username) === secret ? this.#principal(username) : undefined)),
      verifyToken: (token) => this.#answer(() => this.#principal(this.tokens.get(token))),
      principalNamed: (name) => this.#answer(() => this.#principal(name)),
      applicationPrincipal: (name) => this.#answer(() => this.#principal(name)),
      getApplication: (name) => this.#answer(() => this.applications.get(name)),
      getDevice: (tenant, device) => this.#answer(() => this.devices.get(`${tenant}/${device}`)),
      names: SAME_NAMES,
      policies: new MemoryPolicies(),
      watches: NO_WATCHES,
      onChange: (listener) => {
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
      },
    }
    return parts as Registry // a test that needs more fails at once
  }

  #principal(name: string | undefined): Principal | undefined {
    const device = this.devices.get(name ?? '')
    if (device !== undefined)
      return { kind: 'device', name: name ?? '', tenant: device.tenant, device: device.device, uid: device.uid }
    const application = this.applications.get(name ?? '')
    return application && { kind: 'application', name: application.name, rules: application.rules }
  }

  async #answer<T>(find: () => T): Promise<T> {
    this.questions += 1
    const { failure } = this
    if (this.hangs) await new Promise(() => undefined)
    const found = find()
    await this.beforeAnswer()
    if (failure !== undefined) throw failure
    return found
  }
}
