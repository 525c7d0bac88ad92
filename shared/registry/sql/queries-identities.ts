import { randomBytes } from 'node:crypto'
import { sql, type Kysely, type Transaction } from 'kysely'
import { compareText } from '../../text-order.ts'
import { deviceKey, parseDeviceKey } from '../../topics.ts'
import { RANDOM_UIDS } from '../facts-port.ts'
import type { DeviceName } from '../names.ts'
import type { DeviceToMake } from '../port.ts'
import { chunks, insertAll } from './queries-rows.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlFlavour } from './sql-flavour.ts'

/** What devices are stored under: uids, each issued once and to one device only. */

type Db = Kysely<RegistrySchema>
type Trx = Transaction<RegistrySchema>

/** A device and what it is stored under. */
export interface Identified extends DeviceName {
  readonly uid: string
}

/** 128 bits: not made twice either by a registry that was put back to an earlier state. */
function randomUid(): string {
  return randomBytes(16).toString('hex')
}

/** The uid of a row of `devices`. */
export const uidColumn = sql<string>`coalesce(devices.uid, devices.device)`

export async function uidOfDevice(db: Db, tenant: string, device: string): Promise<string | undefined> {
  const row = db.selectFrom('devices').select(uidColumn.as('uid')).where('tenant', '=', tenant)
  return (await row.where('device', '=', device).executeTakeFirst())?.uid
}

/** What the device is called that had this name `{tenant}/{device}` last, as long as no other one has it. */
export async function nameNow(db: Db, name: string): Promise<string | undefined> {
  const former = parseDeviceKey(name)
  if (former === undefined) return undefined
  const { tenant, device } = former
  const row = await db
    .selectFrom('device_names as former')
    .innerJoin('device_identities as it', (join) =>
      join.onRef('it.tenant', '=', 'former.tenant').onRef('it.uid', '=', 'former.uid'),
    )
    .select('it.name')
    .where('former.tenant', '=', tenant)
    .where('former.name', '=', device)
    .where('former.is_former', '=', 1)
    .executeTakeFirst()
  return row === undefined ? undefined : deviceKey(tenant, row.name)
}

/**
 * Gives each new device its uid: its name where nothing was ever stored under it, as far as the registry knows and unless
 * `isUsed` says so, else a random one; always that once {@link RANDOM_UIDS} is said. A primary key that exists is the error when another is making the same device.
 */
export async function issueUids<T extends Pick<DeviceToMake, 'tenant' | 'device' | 'isUsed'>>(
  db: Trx,
  devices: readonly T[],
  createdMs: number,
): Promise<(T & Identified)[]> {
  const setBack = db.selectFrom('registry_facts').select('name').where('name', '=', RANDOM_UIDS)
  const isSetBack = (await setBack.executeTakeFirst()) !== undefined
  const used = new Set<string>()
  for (const [tenant, group] of Map.groupBy(devices, (device) => device.tenant)) {
    for (const chunk of chunks(group.map(({ device }) => device))) {
      const issued = db.selectFrom('device_identities').select('uid').where('tenant', '=', tenant)
      for (const { uid } of await issued.where('uid', 'in', chunk).execute()) used.add(deviceKey(tenant, uid))
      // Of an application that publishes for a device which nobody made.
      const stored = db.selectFrom('device_state').select('device').where('tenant', '=', tenant)
      const states = await stored.where('device', 'in', chunk).execute()
      for (const { device } of states) used.add(deviceKey(tenant, device))
    }
  }
  const identified = devices.map((device) => {
    const isUsed = isSetBack || device.isUsed === true || used.has(deviceKey(device.tenant, device.device))
    return { ...device, uid: isUsed ? randomUid() : device.device }
  })
  await nameDevices(db, identified)
  const rows = identified.map(({ tenant, device, uid }) => {
    return { tenant, uid, name: device, created_ms: createdMs, removed_ms: null }
  })
  await insertAll(
    db,
    'device_identities',
    rows.sort((a, b) => compareText(deviceKey(a.tenant, a.uid), deviceKey(b.tenant, b.uid))),
  )
  return identified
}

/** From now on these names are those of these devices, and no former ones of others. */
async function nameDevices(db: Trx, devices: readonly Identified[]): Promise<void> {
  for (const [tenant, group] of Map.groupBy(devices, (device) => device.tenant)) {
    for (const chunk of chunks(group.map(({ device }) => device))) {
      await db.deleteFrom('device_names').where('tenant', '=', tenant).where('name', 'in', chunk).execute()
    }
  }
  const called = devices.filter(({ device, uid }) => uid !== device)
  const rows = called.map(({ tenant, device, uid }) => ({ tenant, name: device, uid, is_former: 0 }))
  await insertAll(db, 'device_names', rows)
}

/** Those of the devices that exist, which nobody else changes before the transaction ends. */
export async function lockDevices(db: Trx, flavour: SqlFlavour, devices: readonly DeviceName[]): Promise<Identified[]> {
  const found: Identified[] = []
  for (const [tenant, group] of Map.groupBy(devices, (device) => device.tenant)) {
    for (const chunk of chunks(group.map(({ device }) => device).sort())) {
      const rows = db
        .selectFrom('devices')
        .select(['tenant', 'device', uidColumn.as('uid')])
        .where('tenant', '=', tenant)
        .where('device', 'in', chunk)
      // SQLite has one writer, and does not know the words.
      found.push(...(await (flavour.isShared ? rows.forUpdate() : rows).execute()))
    }
  }
  return found
}

/** The uids are nobody's any more, and never anybody else's. */
export async function retireUids(db: Trx, flavour: SqlFlavour, devices: readonly Identified[]): Promise<void> {
  const removed_ms = Date.now()
  // A device that a process of the version before made has none.
  const rows = devices.map(({ tenant, device, uid }) => ({ tenant, uid, name: device, created_ms: removed_ms }))
  for (const chunk of chunks(rows)) {
    await flavour.insertIfAbsent(db.insertInto('device_identities').values(chunk)).execute()
  }
  for (const [tenant, group] of Map.groupBy(devices, (device) => device.tenant)) {
    for (const chunk of chunks(group.map(({ uid }) => uid).sort())) {
      const query = db.updateTable('device_identities').set({ removed_ms }).where('tenant', '=', tenant)
      await query.where('uid', 'in', chunk).execute()
      await db.deleteFrom('device_names').where('tenant', '=', tenant).where('uid', 'in', chunk).execute()
    }
  }
}
