import type { Transaction } from 'kysely'
import { compareText } from '../../text-order.ts'
import { deviceKey } from '../../topics.ts'
import type { DeviceToMake } from '../port.ts'
import { insertCredentials, type MadeCredential } from './queries-credentials.ts'
import { issueUids, type Identified } from './queries-identities.ts'
import { adoptUid } from './queries-names.ts'
import { chunks, insertAll } from './queries-rows.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlFlavour } from './sql-flavour.ts'

export interface NewDevice {
  readonly tenant: string
  readonly device: string
  readonly tags: string
  /** Something is stored under the name. */
  readonly isUsed?: boolean | undefined
  readonly adopt?: DeviceToMake['adopt']
}

export async function insertDevices(
  db: Transaction<RegistrySchema>,
  flavour: SqlFlavour,
  devices: readonly NewDevice[],
  credentials: readonly MadeCredential[],
): Promise<void> {
  const created_ms = Date.now()
  const tenants = [...new Set(devices.map(({ tenant }) => tenant))].sort()
  for (const chunk of chunks(tenants)) {
    const rows = chunk.map((tenant) => ({ tenant, created_ms }))
    await flavour.insertIfAbsent(db.insertInto('tenants').values(rows)).execute()
  }
  // In one order for all: two who make the same devices at once then do not wait for each other in a circle.
  const inOrder = devices.toSorted((a, b) => compareText(deviceKey(a.tenant, a.device), deviceKey(b.tenant, b.device)))
  const identified: (NewDevice & Identified)[] = []
  for (const device of inOrder) {
    if (device.adopt === undefined) continue
    identified.push({ ...device, uid: await adoptUid(db, flavour, device, device.adopt) })
  }
  const others = inOrder.filter(({ adopt }) => adopt === undefined)
  identified.push(...(await issueUids(db, others, created_ms)))
  const rows = identified.map(({ tenant, device, tags, uid }) => ({ tenant, device, tags, created_ms, uid }))
  await insertAll(db, 'devices', rows)
  await insertCredentials(db, credentials)
}
