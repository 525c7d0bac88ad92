import type { Transaction } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { isDeviceName, isName } from '../../names.ts'
import { deviceKey } from '../../topics.ts'
import type { DeviceName } from '../names.ts'
import type { Admission } from '../port.ts'
import { insertAudit } from './audit-log.ts'
import { createDevices, type RegistryParts } from './new-devices.ts'
import { existingOf } from './queries.ts'
import type { RegistrySchema } from './schema.ts'

/** Devices that one application makes in an hour: a site that is switched on, and not a gateway that makes up names. */
export const MAX_MADE_PER_HOUR = 100
const HOUR_MS = 3_600_000

/** `admitDevice` of the port. */
export async function admitDevice(parts: RegistryParts, application: string, device: DeviceName): Promise<Admission> {
  const { database, names } = parts
  if (!isName(device.tenant) || !isDeviceName(device.device)) return 'unknown'
  const existing = await database.run((db) => existingOf(db, [device]))
  if (existing.length > 0) {
    await names.learn(device)
    return 'known'
  }
  const verdict = await database.run((db) => db.transaction().execute((trx) => mayMake(trx, application, device)))
  if (verdict !== 'made') return verdict
  try {
    await createDevices(parts, [device])
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'already_exists') throw error
    await names.learn(device)
    return 'known'
  }
  const entry = { who: application, action: 'device.create', subject: deviceKey(device.tenant, device.device) }
  await database.run((db) => insertAudit(db, [{ ...entry, detail: 'it published for a device that did not exist' }]))
  return 'made'
}

/** Counts it when it may. */
async function mayMake(
  trx: Transaction<RegistrySchema>,
  application: string,
  { tenant, device }: DeviceName,
): Promise<Admission> {
  const query = trx.selectFrom('applications').selectAll().where('application', '=', application)
  const found = await query.executeTakeFirst()
  if (found?.creates_devices !== 1) return 'unknown'
  const identities = trx.selectFrom('device_identities').select('uid').where('tenant', '=', tenant)
  const removed = identities.where('removed_ms', 'is not', null)
  const former = removed.where((build) => build.or([build('name', '=', device), build('uid', '=', device)]))
  if ((await former.executeTakeFirst()) !== undefined) return 'removed'
  const now = Date.now()
  const isSameHour = now - found.made_since_ms < HOUR_MS
  const made = isSameHour ? found.made : 0
  if (made >= MAX_MADE_PER_HOUR) return 'too_many'
  const count = { made: made + 1, made_since_ms: isSameHour ? found.made_since_ms : now }
  await trx.updateTable('applications').set(count).where('application', '=', application).execute()
  return 'made'
}
