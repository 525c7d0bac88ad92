import { sql, type Kysely } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { isName } from '../../names.ts'
import { parseDeviceKey } from '../../topics.ts'
import type { Device, DeviceFilter, Page } from '../port.ts'
import { toLoginState } from './queries-credentials.ts'
import { uidColumn } from './queries-identities.ts'
import { checkLimit } from './queries-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

/** Reads of devices, the same on every database. */

type Db = Kysely<RegistrySchema>

function selectDevices(db: Db) {
  return db
    .selectFrom('devices')
    .leftJoin('login_states as login', (join) =>
      join.on('login.name', '=', sql<string>`concat(devices.tenant, '/', devices.device)`),
    )
    .select(['tenant', 'device', 'tags', 'created_ms', 'login.disabled', 'login.ended_ms', uidColumn.as('uid')])
    .select((eb) =>
      eb
        .selectFrom('device_state')
        .whereRef('device_state.tenant', '=', 'devices.tenant')
        .where('device_state.device', '=', uidColumn)
        .select(({ fn }) => fn.max('device_state.last_seen_ms').as('seen'))
        .as('last_seen_ms'),
    )
}

function toDevice(row: {
  tenant: string
  device: string
  uid: string
  tags: string
  created_ms: number
  last_seen_ms: number | null
  disabled: number | null
  ended_ms: number | null
}): Device {
  const { tenant, device, uid, created_ms: createdMs, last_seen_ms: seen } = row
  const tags = JSON.parse(row.tags) as Record<string, string> // our own text
  const login = toLoginState(row.disabled, row.ended_ms)
  return { tenant, device, uid, tags, createdMs, lastSeenMs: seen ?? undefined, login }
}

export async function findDevice(db: Db, tenant: string, device: string): Promise<Device | undefined> {
  const query = selectDevices(db).where('tenant', '=', tenant).where('device', '=', device)
  const row = await query.executeTakeFirst()
  return row === undefined ? undefined : toDevice(row)
}

/** See `Registry.listDevices`. */
export async function listDevices(
  database: RegistryDatabase,
  { cursor, limit, ...filter }: DeviceFilter & { cursor?: string; limit: number },
): Promise<Page<Device>> {
  checkLimit(limit)
  const after = cursor === undefined ? undefined : decodeCursor(cursor, filter.tenant)
  if (filter.tenant !== undefined && !isName(filter.tenant)) return { items: [], next: undefined }
  return database.run((db) => pageOfDevices(db, { ...filter, after, limit }))
}

/** `after` is the last device of the page before. */
async function pageOfDevices(
  db: Db,
  { after, limit, ...filter }: DeviceFilter & { after: DevicePosition | undefined; limit: number },
): Promise<Page<Device>> {
  let query = matching(selectDevices(db), filter)
  if (after !== undefined) {
    query = query.where((eb) =>
      eb.or([
        eb('tenant', '>', after.tenant),
        eb.and([eb('tenant', '=', after.tenant), eb('device', '>', after.device)]),
      ]),
    )
  }
  const rows = await query
    .orderBy('tenant')
    .orderBy('device')
    .limit(limit + 1)
    .execute()
  const items = rows.slice(0, limit).map(toDevice)
  const last = items.at(-1)
  return { items, next: rows.length > limit && last !== undefined ? encodeCursor(last) : undefined }
}

/** See `Registry.recentDevices`; names decide among those that were never seen. */
export async function recentDevices(
  database: RegistryDatabase,
  { limit, ...filter }: DeviceFilter & { limit: number },
): Promise<readonly Device[]> {
  checkLimit(limit)
  if (filter.tenant !== undefined && !isName(filter.tenant)) return []
  return database.run(async (db) => {
    const query = matching(selectDevices(db), filter).orderBy('last_seen_ms', 'desc')
    return (await query.orderBy('tenant').orderBy('device').limit(limit).execute()).map(toDevice)
  })
}

function matching(query: ReturnType<typeof selectDevices>, { tenant, search }: DeviceFilter) {
  const ofTenant = tenant === undefined ? query : query.where('tenant', '=', tenant)
  if (search === undefined) return ofTenant
  const name = sql<string>`lower(concat(devices.tenant, '/', devices.device))`
  return ofTenant.where(sql<number>`instr(${name}, ${search.toLowerCase()})`, '>', 0)
}

interface DevicePosition {
  readonly tenant: string
  readonly device: string
}

const CURSOR_VERSION = 'd1'
/** Of the longest names it has 262 characters. */
const MAX_CURSOR = 512

function encodeCursor({ tenant, device }: DevicePosition): string {
  return Buffer.from(`${CURSOR_VERSION}/${tenant}/${device}`).toString('base64url')
}

/** Error `cursor_invalid`: not made by {@link pageOfDevices}, or for another tenant. */
function decodeCursor(cursor: string, tenant: string | undefined): DevicePosition {
  const text = cursor.length <= MAX_CURSOR ? Buffer.from(cursor, 'base64url').toString('utf8') : ''
  const position = text.startsWith(`${CURSOR_VERSION}/`)
    ? parseDeviceKey(text.slice(CURSOR_VERSION.length + 1))
    : undefined
  const isOurs = position !== undefined && encodeCursor(position) === cursor
  if (isOurs && (tenant ?? position.tenant) === position.tenant) return position
  throw new SluiceError('cursor_invalid', 'the cursor does not belong to this list')
}
