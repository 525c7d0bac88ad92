import type { Transaction } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { deviceKey } from '../../topics.ts'
import type { DeviceName } from '../names.ts'
import { lockDevices, uidColumn, type Identified } from './queries-identities.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlFlavour } from './sql-flavour.ts'

/** Which device has which name and which history: rows of the registry, nothing that is stored changes. */

type Trx = Transaction<RegistrySchema>

/** False when there is no such device; a primary key that exists is the error when there is one of the new name. */
export async function renameInRows(db: Trx, flavour: SqlFlavour, from: DeviceName, to: string): Promise<boolean> {
  const { tenant, device } = from
  const [found] = await lockDevices(db, flavour, [from])
  if (found === undefined) return false
  const { uid } = found
  await db
    .updateTable('devices')
    .set({ device: to, uid })
    .where('tenant', '=', tenant)
    .where('device', '=', device)
    .execute()
  await noteName(db, flavour, { tenant, device: to, uid })
  await db.replaceInto('device_names').values({ tenant, name: device, uid, is_former: 1 }).execute()
  for (const table of ['device_presence', 'device_limits'] as const) {
    // What somebody noted of a name that was nobody's.
    await db.deleteFrom(table).where('tenant', '=', tenant).where('device', '=', to).execute()
    const rows = db.updateTable(table).set({ device: to }).where('tenant', '=', tenant)
    await rows.where('device', '=', device).execute()
  }
  await renameLogin(db, deviceKey(tenant, device), deviceKey(tenant, to))
  return true
}

/** What the device logs in with stays as it is, its username too. */
async function renameLogin(db: Trx, from: string, to: string): Promise<void> {
  for (const table of ['credentials', 'credential_pairs', 'imported_passwords'] as const) {
    await db.updateTable(table).set({ principal: to }).where('principal', '=', from).execute()
  }
  await db.deleteFrom('login_states').where('name', '=', to).execute()
  await db.updateTable('login_states').set({ name: to }).where('name', '=', from).execute()
}

/** The name is that of the device with this uid from now on, and no former one of another. */
async function noteName(db: Trx, flavour: SqlFlavour, { tenant, device, uid }: Identified): Promise<void> {
  const row = { tenant, uid, name: device, created_ms: Date.now(), removed_ms: null }
  await flavour.insertIfAbsent(db.insertInto('device_identities').values(row)).execute()
  const identity = db.updateTable('device_identities').set({ name: device, removed_ms: null })
  await identity.where('tenant', '=', tenant).where('uid', '=', uid).execute()
  const names = db.deleteFrom('device_names').where('tenant', '=', tenant)
  await names.where((eb) => eb.or([eb('name', '=', device), eb('uid', '=', uid).and('is_former', '=', 0)])).execute()
  if (uid === device) return
  await db.insertInto('device_names').values({ tenant, name: device, uid, is_former: 0 }).execute()
}

/**
 * The uid of a history that is nobody's, by the uid itself or by the last name of the device that had it, which is that of
 * `device` from now on. `isUsed`: something is stored under it, whether or not the registry knows. Errors: `not_found`,
 * `already_exists` when it is somebody's.
 */
export async function adoptUid(
  db: Trx,
  flavour: SqlFlavour,
  { tenant, device }: DeviceName,
  wanted: { readonly history: string; readonly isUsed: boolean },
): Promise<string> {
  const { history, isUsed } = wanted
  const known = await identityOf(db, flavour, tenant, history)
  if (known === undefined && !isUsed) {
    const shown = JSON.stringify(history.slice(0, 160))
    throw new SluiceError('not_found', `nothing is stored under ${shown}, and no device that was removed had this name`)
  }
  const uid = known?.uid ?? history
  await requireUnused(db, flavour, { tenant, device: known?.name ?? history, uid })
  await noteName(db, flavour, { tenant, device, uid })
  return uid
}

async function identityOf(db: Trx, flavour: SqlFlavour, tenant: string, history: string) {
  const rows = db.selectFrom('device_identities').selectAll().where('tenant', '=', tenant)
  const byName = rows.where('name', '=', history).where('removed_ms', 'is not', null)
  for (const query of [byName.orderBy('removed_ms', 'desc').limit(1), rows.where('uid', '=', history)]) {
    const row = await (flavour.isShared ? query.forUpdate() : query).executeTakeFirst()
    if (row !== undefined) return row
  }
  return undefined
}

/** Error: `already_exists` when the device of this name is stored under this uid. */
async function requireUnused(db: Trx, flavour: SqlFlavour, { tenant, device, uid }: Identified): Promise<void> {
  const query = db.selectFrom('devices').select(uidColumn.as('uid')).where('tenant', '=', tenant)
  const owner = query.where('device', '=', device)
  const row = await (flavour.isShared ? owner.forUpdate() : owner).executeTakeFirst()
  if (row?.uid !== uid) return
  throw new SluiceError('already_exists', `the history is that of the device "${deviceKey(tenant, device)}"`)
}
