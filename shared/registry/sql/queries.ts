import type { Kysely, Transaction } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { deviceKey } from '../../topics.ts'
import type { SqlFlavour } from './sql-flavour.ts'
import type { DeviceName } from '../names.ts'
import type { AclRule, Application } from '../port.ts'
import { deleteLogins, insertCredentials, toLoginState, type MadeCredential } from './queries-credentials.ts'
import { lockDevices, retireUids, type Identified } from './queries-identities.ts'
import { chunks } from './queries-rows.ts'
import type { RegistrySchema } from './schema.ts'

/** Reads and writes of devices, applications and API keys, the same on every database. */

type Db = Kysely<RegistrySchema>

const MAX_TAGS = 64
const MAX_TAG_LENGTH = 256

/** Tags as they are stored. Error `bad_request`. */
export function encodeTags(device: string, tags: Readonly<Record<string, string>> = {}): string {
  const entries = Object.entries(tags)
  const fail = (reason: string): never => {
    throw new SluiceError('bad_request', `tags of "${device}": ${reason}`)
  }
  if (entries.length > MAX_TAGS) fail(`${entries.length} are too many; at most ${MAX_TAGS} are possible`)
  for (const [key, value] of entries) {
    if (key.length === 0 || key.length > MAX_TAG_LENGTH) fail(`a name must have 1 to ${MAX_TAG_LENGTH} characters`)
    if (typeof value !== 'string' || value.length > MAX_TAG_LENGTH) {
      fail(`the value of ${JSON.stringify(key)} is not a string of at most ${MAX_TAG_LENGTH} characters`)
    }
  }
  return JSON.stringify(Object.fromEntries(entries))
}

/** Those of the devices, in the order given, that exist. */
export async function existingOf<T extends DeviceName>(db: Db, devices: readonly T[]): Promise<T[]> {
  const existing = new Set<string>()
  for (const [tenant, group] of Map.groupBy(devices, ({ tenant }) => tenant)) {
    for (const chunk of chunks(group.map(({ device }) => device))) {
      const query = db.selectFrom('devices').select('device').where('tenant', '=', tenant)
      const rows = await query.where('device', 'in', chunk).execute()
      for (const { device } of rows) existing.add(deviceKey(tenant, device))
    }
  }
  return devices.filter(({ tenant, device }) => existing.has(deviceKey(tenant, device)))
}

/** With their logins and their latest state; the answer is those that were there. */
export async function deleteDevices(
  db: Transaction<RegistrySchema>,
  flavour: SqlFlavour,
  devices: readonly DeviceName[],
): Promise<Identified[]> {
  const found = await lockDevices(db, flavour, devices)
  await retireUids(db, flavour, found)
  for (const [tenant, group] of Map.groupBy(found, ({ tenant }) => tenant)) {
    for (const chunk of chunks(group.map(({ device }) => device))) {
      for (const table of ['devices', 'device_presence', 'device_limits'] as const) {
        await db.deleteFrom(table).where('tenant', '=', tenant).where('device', 'in', chunk).execute()
      }
    }
    for (const uids of chunks(group.map(({ uid }) => uid).sort())) {
      for (const table of ['device_state', 'device_fields'] as const) {
        await db.deleteFrom(table).where('tenant', '=', tenant).where('device', 'in', uids).execute()
      }
    }
  }
  const names = found.map(({ tenant, device }) => deviceKey(tenant, device)).sort()
  await deleteLogins(db, names, { withState: true })
  return found
}

export async function insertApplication(
  db: Transaction<RegistrySchema>,
  application: string,
  rules: readonly AclRule[],
  credentials: readonly MadeCredential[],
  createsDevices: boolean,
): Promise<void> {
  const row = { application, created_ms: Date.now(), creates_devices: createsDevices ? 1 : 0 }
  await db
    .insertInto('applications')
    .values({ ...row, made_since_ms: 0, made: 0 })
    .execute()
  await insertRules(db, application, rules)
  await insertCredentials(db, credentials)
}

/** False when there is no such application. */
export async function replaceRules(
  db: Transaction<RegistrySchema>,
  application: string,
  rules: readonly AclRule[],
  createsDevices: boolean | undefined,
): Promise<boolean> {
  const found = db.selectFrom('applications').select('application').where('application', '=', application)
  if ((await found.executeTakeFirst()) === undefined) return false
  if (createsDevices !== undefined) {
    const creates_devices = createsDevices ? 1 : 0
    await db.updateTable('applications').set({ creates_devices }).where('application', '=', application).execute()
  }
  await db.deleteFrom('acl_rules').where('application', '=', application).execute()
  await insertRules(db, application, rules)
  return true
}

async function insertRules(
  db: Transaction<RegistrySchema>,
  application: string,
  rules: readonly AclRule[],
): Promise<void> {
  const rows = rules.map(({ effect, action, topic }, position) => ({ application, position, effect, action, topic }))
  for (const chunk of chunks(rows)) await db.insertInto('acl_rules').values(chunk).execute()
}

/** All applications, or the one of that name; by name. One statement, so that rules and application belong together. */
export async function findApplications(db: Db, name?: string): Promise<Application[]> {
  let query = db
    .selectFrom('applications as a')
    .leftJoin('acl_rules as r', 'r.application', 'a.application')
    .leftJoin('login_states as s', 's.name', 'a.application')
    .select(['a.application', 'a.created_ms', 'a.creates_devices', 's.disabled', 's.ended_ms'])
    .select(['r.effect', 'r.action', 'r.topic'])
  query = name === undefined ? query.orderBy('a.application') : query.where('a.application', '=', name)
  const rows = await query.orderBy('r.position').execute()
  const found = new Map<string, Application & { rules: AclRule[] }>()
  for (const row of rows) {
    const { application, created_ms: createdMs, effect, action, topic } = row
    const login = toLoginState(row.disabled, row.ended_ms)
    const createsDevices = row.creates_devices === 1
    const known = found.get(application) ?? { name: application, rules: [], createsDevices, createdMs, login }
    found.set(application, known)
    if (effect !== null && action !== null && topic !== null) known.rules.push({ effect, action, topic })
  }
  return [...found.values()]
}

/** False when there is no such application. */
export async function deleteApplication(db: Transaction<RegistrySchema>, name: string): Promise<boolean> {
  const query = db.deleteFrom('applications').where('application', '=', name)
  const { numDeletedRows } = await query.executeTakeFirstOrThrow()
  if (numDeletedRows === 0n) return false
  await db.deleteFrom('acl_rules').where('application', '=', name).execute()
  await deleteLogins(db, [name], { withState: true })
  return true
}
