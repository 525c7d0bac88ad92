import type { Kysely } from 'kysely'
import type { Logger } from '../../process/logger.ts'
import { gaugeOf, type Metrics } from '../../process/metrics.ts'
import { deviceKey, parseDeviceKey } from '../../topics.ts'
import type { DeviceNames } from '../names-port.ts'
import type { DeviceName } from '../names.ts'
import type { ChangeFeed } from './change-feed.ts'
import { KnownRows } from './known-rows.ts'
import { existingOf } from './queries.ts'
import { chunks } from './queries-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

type Row = RegistrySchema['device_names']
/** Tenant, and name or uid. Not one text: that would be made for each question. */
type Index = Map<string, Map<string, string>>

/** Changed names that wait for their look-up; with more of them everything is read again. */
const MAX_WAITING = 10_000

interface Parts {
  readonly database: RegistryDatabase
  readonly changes: ChangeFeed
  readonly logger: Logger
  readonly metrics: Metrics
}

/**
 * The names of all devices, about 100 bytes each, and all rows of `device_names`, which has one for each device that was made
 * again or renamed: so this is bounded by the devices that there are. While the registry does not answer what was
 * known last counts.
 */
export class DeviceNameCache implements DeviceNames {
  readonly #database: RegistryDatabase
  readonly #rows: KnownRows
  #uids: Index = new Map()
  /** Names of all devices, by tenant. */
  #devices = new Map<string, Set<string>>()
  #names: Index = new Map()
  #size = 0
  #waiting = new Set<string>()
  /** More changed than is looked up one by one. */
  #isStale = false
  epoch = 0

  private constructor({ database, changes, logger, metrics }: Parts) {
    this.#database = database
    const isNews = (name: string) => this.#note(name)
    this.#rows = new KnownRows({ changes, logger, isNews, what: 'names of devices', read: () => this.#read() })
    const help = 'Names of devices that are stored under something else than their name'
    gaugeOf(metrics, 'sluice_registry_device_names', help, () => this.#size)
  }

  static async open(parts: Parts): Promise<DeviceNameCache> {
    const cache = new DeviceNameCache(parts)
    await cache.#readAll()
    return cache
  }

  uidOf(tenant: string, device: string): string {
    return this.#uids.get(tenant)?.get(device) ?? device
  }

  nameOf(tenant: string, uid: string): string {
    return this.#names.get(tenant)?.get(uid) ?? uid
  }

  isKnown(tenant: string, device: string): boolean {
    return this.#devices.get(tenant)?.has(this.nameOf(tenant, this.uidOf(tenant, device))) === true
  }

  /** Reads what another process may have changed of a device; resolves as {@link known} does. */
  learn({ tenant, device }: DeviceName): Promise<void> {
    if (this.#note(deviceKey(tenant, device))) this.#rows.look()
    return this.known()
  }

  /** Resolves when the changes of this process are known, or could not be read. */
  known(): Promise<void> {
    return this.#rows.known()
  }

  close(): Promise<void> {
    return this.#rows.close()
  }

  /** False for a name that is none of a device. */
  #note(name: string): boolean {
    if (!name.includes('/')) return false
    if (this.#waiting.size < MAX_WAITING) this.#waiting.add(name)
    else this.#isStale = true
    return true
  }

  async #read(): Promise<void> {
    const [names, isStale] = [this.#waiting, this.#isStale]
    this.#waiting = new Set()
    this.#isStale = false
    try {
      if (isStale) await this.#readAll()
      else await this.#readSome([...names].flatMap((name) => parseDeviceKey(name) ?? []))
    } catch (error) {
      for (const name of names) this.#waiting.add(name)
      this.#isStale ||= isStale
      throw error
    }
  }

  async #readAll(): Promise<void> {
    const rows = await this.#database.run((db) => db.selectFrom('device_names').selectAll().execute())
    const devices = await this.#database.run((db) => db.selectFrom('devices').select(['tenant', 'device']).execute())
    this.#devices = new Map()
    for (const { tenant, device } of devices) this.#namesOf(tenant).add(device)
    this.#uids = new Map()
    this.#names = new Map()
    this.#size = 0
    for (const row of rows) this.#add(row)
    this.epoch += 1
  }

  /** These names, and all of the devices that had them. */
  async #readSome(devices: readonly DeviceName[]): Promise<void> {
    for (const [tenant, group] of Map.groupBy(devices, (device) => device.tenant)) {
      for (const names of chunks(group.map(({ device }) => device))) {
        const uids = names.flatMap((name) => this.#uids.get(tenant)?.get(name) ?? [])
        const rows = await this.#database.run((db) => rowsOf(db, tenant, names, uids))
        const existing = new Set((await this.#existing(tenant, names)).map(({ device }) => device))
        const known = this.#takeOut(tenant, names, uids)
        for (const row of rows) this.#add(row)
        const gone = this.#noteExisting(tenant, names, existing)
        if (known > 0 || rows.length > 0 || gone) this.epoch += 1
      }
    }
  }

  #existing(tenant: string, names: readonly string[]): Promise<DeviceName[]> {
    return this.#database.run((db) =>
      existingOf(
        db,
        names.map((device) => ({ tenant, device })),
      ),
    )
  }

  /** True when one that was there is there no more: what was decided by it is to be decided again. */
  #noteExisting(tenant: string, names: readonly string[], existing: ReadonlySet<string>): boolean {
    const known = this.#namesOf(tenant)
    let isGone = false
    for (const name of names) {
      if (existing.has(name)) known.add(name)
      else if (known.delete(name)) isGone = true
    }
    return isGone
  }

  #namesOf(tenant: string): Set<string> {
    const known = this.#devices.get(tenant) ?? new Set<string>()
    this.#devices.set(tenant, known)
    return known
  }

  #add({ tenant, name, uid, is_former: isFormer }: Row): void {
    this.#size += 1
    put(this.#uids, tenant, name, uid)
    if (isFormer === 0) put(this.#names, tenant, uid, name)
  }

  /** Gives how many there were. */
  #takeOut(tenant: string, names: readonly string[], uids: readonly string[]): number {
    const [byName, byUid] = [this.#uids.get(tenant), this.#names.get(tenant)]
    const before = this.#size
    const gone = new Set(uids)
    const all = gone.size === 0 ? [] : [...(byName ?? [])].filter(([, uid]) => gone.has(uid))
    for (const name of [...names, ...all.map(([name]) => name)]) if (byName?.delete(name) === true) this.#size -= 1
    for (const uid of uids) byUid?.delete(uid)
    return before - this.#size
  }
}

/** A device has the names that it was given, and few others. */
async function rowsOf(
  db: Kysely<RegistrySchema>,
  tenant: string,
  names: readonly string[],
  uids: readonly string[],
): Promise<Row[]> {
  const query = db.selectFrom('device_names').selectAll().where('tenant', '=', tenant)
  const rows = await query.where('name', 'in', names).execute()
  const asked = [...new Set([...uids, ...rows.map(({ uid }) => uid)])]
  return asked.length === 0 ? [] : query.where('uid', 'in', asked).execute()
}

function put(index: Index, tenant: string, key: string, value: string): void {
  const known = index.get(tenant) ?? new Map<string, string>()
  index.set(tenant, known)
  known.set(key, value)
}
