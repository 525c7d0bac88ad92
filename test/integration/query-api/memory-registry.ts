import { randomBytes } from 'node:crypto'
import { MemoryDecoders } from '../../fakes/memory-decoders.ts'
import { MemoryDeclaredTypes } from '../../fakes/memory-declared-types.ts'
import { MemoryPolicies, NO_WATCHES } from '../../fakes/memory-policies.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { checkNewDeviceName, checkNewName } from '../../../shared/names.ts'
import type { DeviceNames } from '../../../shared/registry/names-port.ts'
import type { DeviceName, NewCredentials } from '../../../shared/registry/names.ts'
import type {
  Application,
  AuditEntry,
  Device,
  DeviceToMake,
  Registry,
  StreamState,
  DeviceFilter,
} from '../../../shared/registry/port.ts'
import { TombstoneView } from '../../../shared/registry/tombstones-port.ts'
import type { DeviceLimitRecord, PresenceRecord } from '../../../shared/registry/presence-port.ts'

const unused = (): never => {
  throw new Error('not part of the fake')
}

const ENABLED = { disabled: false, endedMs: undefined }

export class MemoryRegistry implements Registry {
  readonly #devices = new Map<string, Device>()
  /** `{tenant}/{uid}`. */
  readonly #issued = new Set<string>()
  readonly #applications = new Map<string, Application>()
  readonly #tokens = new Map<string, string>()
  readonly #states = new Map<string, StreamState>()
  readonly audited: string[] = []
  readonly adminKey = randomBytes(24).toString('base64url')
  keyChecks = 0
  verifySecret = unused
  applicationPrincipal = unused
  principalNamed = unused
  readonly credentials = {
    list: async () => [],
    rotate: unused,
    revoke: unused,
    setDisabled: unused,
    importPassword: unused,
  }
  readonly claimKeys = { create: unused, list: unused, revoke: unused, claim: unused }
  readonly presence = {
    record: unused,
    endNode: unused,
    of: async (): Promise<readonly PresenceRecord[]> => [],
    ofAll: async (): Promise<readonly PresenceRecord[]> => [],
    recordLimits: unused,
    limitsAfter: unused,
    limitsOf: async (): Promise<readonly DeviceLimitRecord[]> => [],
  }
  readonly fields = { of: unused, write: unused, countOf: unused }
  readonly facts = { get: unused, keep: unused, put: unused, change: unused }
  readonly policies = new MemoryPolicies()
  readonly declaredTypes = new MemoryDeclaredTypes()
  readonly watches = NO_WATCHES
  readonly decoders = new MemoryDecoders()
  readonly stampSlots = { change: unused, read: unused }
  readonly jobs = {
    create: unused,
    get: unused,
    list: unused,
    take: async () => undefined,
    save: unused,
    cancel: unused,
  }
  readonly letterNotes = { of: async () => new Map(), put: unused, trim: unused }
  readonly tombstones = {
    current: async () => new TombstoneView(),
    put: unused,
    close: unused,
    clearLatest: unused,
  }
  listAudit = unused
  onChange = () => () => {}
  pinFieldTypes = unused
  readStreams = unused
  setAdminKey = unused
  admitDevice = async () => 'unknown' as const
  close = async () => {}

  readonly names: DeviceNames = {
    epoch: 0,
    uidOf: (tenant, device) => this.#devices.get(`${tenant}/${device}`)?.uid ?? device,
    nameOf: (tenant, uid) =>
      [...this.#devices.values()].find((one) => one.tenant === tenant && one.uid === uid)?.device ?? uid,
    isKnown: (tenant, device) => this.#devices.has(`${tenant}/${device}`),
  }

  async createDevices(devices: readonly DeviceToMake[]) {
    for (const { tenant, device } of devices) {
      checkNewName('tenant', tenant)
      checkNewDeviceName(device)
      if (this.#devices.has(`${tenant}/${device}`))
        throw new SluiceError('already_exists', `${tenant}/${device} exists`)
    }
    return devices.map(({ tenant, device, tags = {}, isUsed = false }) => {
      const uid = isUsed || this.#issued.has(`${tenant}/${device}`) ? `uid-${this.#issued.size}` : device
      this.#issued.add(`${tenant}/${uid}`)
      this.#devices.set(`${tenant}/${device}`, {
        tenant,
        device,
        uid,
        tags,
        createdMs: 1_700_000_000_000,
        lastSeenMs: undefined,
        login: ENABLED,
      })
      return this.#login(`${tenant}/${device}`)
    })
  }

  #login(username: string): NewCredentials {
    const token = randomBytes(24).toString('base64url')
    this.#tokens.set(token, username)
    return { username, secret: randomBytes(24).toString('base64url'), token }
  }

  async getDevice(tenant: string, device: string) {
    return this.#devices.get(`${tenant}/${device}`)
  }

  async listDevices({ tenant, search = '', cursor = '', limit }: DeviceFilter & { cursor?: string; limit: number }) {
    const names = [...this.#devices.keys()].filter(
      (name) => name > cursor && (tenant === undefined || name.startsWith(`${tenant}/`)) && name.includes(search),
    )
    const page = names.sort().slice(0, limit)
    const items = page.map((name) => this.#devices.get(name)).filter((device) => device !== undefined)
    return { items, next: page.length < names.length ? page.at(-1) : undefined }
  }

  async recentDevices({ limit, ...filter }: DeviceFilter & { limit: number }) {
    const { items } = await this.listDevices({ ...filter, limit: Infinity })
    return items.toSorted((a, b) => (b.lastSeenMs ?? 0) - (a.lastSeenMs ?? 0)).slice(0, limit)
  }

  async removeDevice(tenant: string, device: string) {
    if (!this.#devices.delete(`${tenant}/${device}`)) throw new SluiceError('not_found', `no ${tenant}/${device}`)
  }

  async renameDevice({ tenant, device }: DeviceName, to: string) {
    const found = this.#devices.get(`${tenant}/${device}`)
    if (found === undefined) throw new SluiceError('not_found', `no ${tenant}/${device}`)
    if (this.#devices.has(`${tenant}/${to}`)) throw new SluiceError('already_exists', `${tenant}/${to} exists`)
    this.#devices.delete(`${tenant}/${device}`)
    this.#devices.set(`${tenant}/${to}`, { ...found, device: to })
  }

  async removeDevices(devices: readonly DeviceName[]) {
    return devices.filter(({ tenant, device }) => this.#devices.delete(`${tenant}/${device}`))
  }

  existingDevices = async (devices: readonly DeviceName[]) =>
    devices.filter(({ tenant, device }) => this.#devices.has(`${tenant}/${device}`))

  async createApplication(name: string, rules: Application['rules']) {
    if (this.#applications.has(name)) throw new SluiceError('already_exists', `${name} exists`)
    this.#applications.set(name, { name, rules, createsDevices: false, createdMs: 1_700_000_000_000, login: ENABLED })
    return this.#login(name)
  }

  getApplication = async (name: string) => this.#applications.get(name)
  listApplications = async () => [...this.#applications.values()]

  async setRules(name: string, rules: Application['rules']) {
    const application = await this.getApplication(name)
    if (application === undefined) throw new SluiceError('not_found', `no ${name}`)
    this.#applications.set(name, { ...application, rules })
  }

  async removeApplication(name: string) {
    if (!this.#applications.delete(name)) throw new SluiceError('not_found', `no ${name}`)
  }

  async verifyToken(token: string) {
    const name = this.#tokens.get(token)
    if (name === undefined) return undefined
    const [tenant = '', device] = name.split('/')
    if (device !== undefined)
      return { kind: 'device' as const, name, tenant, device, uid: this.names.uidOf(tenant, device) }
    return { kind: 'application' as const, name, rules: this.#applications.get(name)?.rules ?? [] }
  }

  async verifyApiKey(key: string) {
    this.keyChecks += 1
    return key === this.adminKey ? 'admin' : undefined
  }

  readState = async (tenant: string, device: string) =>
    [...this.#states.values()].filter((state) => state.tenant === tenant && state.device === device)

  async writeState(rows: readonly StreamState[]) {
    for (const row of rows) this.#states.set(`${row.tenant}/${row.device}/${row.stream}`, row)
  }

  async audit(...entries: readonly AuditEntry[]) {
    for (const { who, action, subject } of entries) this.audited.push(`${who} ${action} ${subject}`)
  }
}
