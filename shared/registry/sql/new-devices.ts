import type { Transaction } from 'kysely'
import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { Metrics } from '../../process/metrics.ts'
import { checkNewDeviceName, checkNewName } from '../../names.ts'
import { deviceKey } from '../../topics.ts'
import type { ChangeFeed } from './change-feed.ts'
import type { SqlDeclaredTypes } from './declared-type-store.ts'
import type { DeviceNameCache } from './device-name-cache.ts'
import type { CredentialHashes } from '../credentials.ts'
import type { SqlFlavour } from './sql-flavour.ts'
import type { DeviceName, NewCredentials } from '../names.ts'
import type { DeviceToMake } from '../port.ts'
import { encodeTags, existingOf } from './queries.ts'
import { insertDevices } from './queries-new-devices.ts'
import { renameInRows } from './queries-names.ts'
import type { SqlPolicies } from './policy-store.ts'
import type { SqlWatches } from './watch-store.ts'
import type { RegistrySchema } from './schema.ts'
import { makeCredential } from './queries-credentials.ts'
import type { RegistryDatabase } from './registry-database.ts'

/** What the parts of a registry share. */
export interface RegistryParts {
  readonly database: RegistryDatabase
  readonly changes: ChangeFeed
  readonly flavour: SqlFlavour
  readonly hashes: CredentialHashes
  readonly logger: Logger
  readonly metrics: Metrics
  readonly names: DeviceNameCache
  readonly policies: SqlPolicies
  readonly declaredTypes: SqlDeclaredTypes
  readonly watches: SqlWatches
}

/**
 * A name that others make and remove all the time is there at one moment and gone at the next; at the last of so many
 * attempts it was there.
 */
export const MAX_MAKE_ATTEMPTS = 10

/** `createDevices` of the port. */
export async function createDevices(
  { database, changes, flavour, hashes, names: cache }: RegistryParts,
  devices: readonly DeviceToMake[],
): Promise<readonly NewCredentials[]> {
  const rows = devices.map(({ tenant, device, tags, isUsed, adopt }) => {
    checkNewName('tenant', tenant)
    checkNewDeviceName(device)
    return { tenant, device, tags: encodeTags(deviceKey(tenant, device), tags), isUsed, adopt }
  })
  const names = rows.map(({ tenant, device }) => deviceKey(tenant, device))
  const seen = new Set<string>()
  for (const name of names) if (seen.size === seen.add(name).size) throw alreadyExists('device', name)
  if (rows.length === 0) return []
  database.checkRoom()
  const made = names.map((name) => makeCredential(hashes, name))
  await database.run(async (db) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await changes.change(db, names, (trx) => insertDevices(trx, flavour, rows, made))
      } catch (error) {
        if (!flavour.isDuplicate(error)) throw error
        const [existing] = await existingOf(db, rows)
        const there = existing ?? (attempt < MAX_MAKE_ATTEMPTS ? undefined : rows[0])
        // What was there is gone again: somebody removed it at the same time.
        if (there !== undefined) throw alreadyExists('device', deviceKey(there.tenant, there.device))
      }
    }
  })
  for (const name of names) changes.announce(name)
  // Whoever has the answer may publish to the device at once.
  await cache.known()
  return made.map(({ shown }) => shown)
}

/** `renameDevice` of the port. */
export async function renameDevice(
  { database, changes, flavour, names }: RegistryParts,
  { tenant, device }: DeviceName,
  to: string,
): Promise<void> {
  checkNewDeviceName(to)
  database.checkRoom()
  const [before, after] = [deviceKey(tenant, device), deviceKey(tenant, to)]
  if (before === after) throw alreadyExists('device', after)
  const rename = async (trx: Transaction<RegistrySchema>): Promise<void> => {
    if (!(await renameInRows(trx, flavour, { tenant, device }, to))) throw notFound('device', before)
  }
  try {
    // Sessions are those of a name: the device begins a new one.
    await changes.apply([before, after], rename, [before])
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    throw flavour.isDuplicate(cause) ? alreadyExists('device', after) : error
  }
  await names.known()
}

export function alreadyExists(what: string, name: string): SluiceError {
  return new SluiceError('already_exists', `${what} "${name}" already exists`)
}

export function notFound(what: string, name: string): SluiceError {
  return new SluiceError('not_found', `no such ${what}: ${JSON.stringify(name.slice(0, 160))}`)
}
