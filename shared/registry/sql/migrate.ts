import type { Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { SluiceError } from '../../errors.ts'
import type { SqlFlavour } from './sql-flavour.ts'
import { initialMigration } from './migrations/0001-initial.ts'
import { changesMigration } from './migrations/0002-changes.ts'
import { identityMigration } from './migrations/0003-identity.ts'
import { presenceMigration } from './migrations/0004-presence.ts'
import { logIdentityMigration } from './migrations/0005-log-identity.ts'
import { stampSlotsMigration } from './migrations/0006-stamp-slots.ts'
import { namesMigration } from './migrations/0007-names.ts'
import { deviceUidsMigration } from './migrations/0008-device-uids.ts'
import { deviceNamesMigration } from './migrations/0009-device-names.ts'
import { deviceFieldsMigration } from './migrations/0010-device-fields.ts'
import { policiesMigration } from './migrations/0011-policies.ts'
import { madeDevicesMigration } from './migrations/0012-made-devices.ts'
import { jobsMigration } from './migrations/0013-jobs.ts'
import { keptValuesMigration } from './migrations/0014-kept-values.ts'
import { letterNotesMigration } from './migrations/0015-letter-notes.ts'
import { policySourcesMigration } from './migrations/0016-policy-sources.ts'
import { declaredTypesMigration } from './migrations/0017-declared-types.ts'
import { longFactsMigration } from './migrations/0018-long-facts.ts'
import { decodersMigration } from './migrations/0019-decoders.ts'
import { declaredMeaningMigration } from './migrations/0020-declared-meaning.ts'
import { deviceClocksMigration } from './migrations/0021-device-clocks.ts'
import { firstJsonMigration } from './migrations/0022-first-json.ts'
import type { RegistrySchema } from './schema.ts'

const ALL: Readonly<Record<string, (flavour: SqlFlavour) => Migration>> = {
  '0001-initial': initialMigration,
  '0002-changes': changesMigration,
  '0003-identity': identityMigration,
  '0004-presence': presenceMigration,
  '0005-log-identity': logIdentityMigration,
  '0006-stamp-slots': stampSlotsMigration,
  '0007-names': namesMigration,
  '0008-device-uids': deviceUidsMigration,
  '0009-device-names': deviceNamesMigration,
  '0010-device-fields': deviceFieldsMigration,
  '0011-policies': policiesMigration,
  '0012-made-devices': madeDevicesMigration,
  '0013-jobs': jobsMigration,
  '0014-kept-values': keptValuesMigration,
  '0015-letter-notes': letterNotesMigration,
  '0016-policy-sources': policySourcesMigration,
  '0017-declared-types': declaredTypesMigration,
  '0018-long-facts': longFactsMigration,
  '0019-decoders': decodersMigration,
  '0020-declared-meaning': declaredMeaningMigration,
  '0021-device-clocks': deviceClocksMigration,
  '0022-first-json': firstJsonMigration,
}

/** Their names, in order. */
export const MIGRATIONS = Object.keys(ALL)

/** Every migration by its name, in the order of the names. */
export function allMigrations(flavour: SqlFlavour): Record<string, Migration> {
  return Object.fromEntries(Object.entries(ALL).map(([name, make]) => [name, make(flavour)]))
}

/**
 * Brings the database to the schema of this version. Error: `data_newer` when it was migrated by a version that knows
 * more migrations; nothing is changed then.
 */
export async function migrateToLatest(db: Kysely<RegistrySchema>, flavour: SqlFlavour): Promise<void> {
  const migrations = allMigrations(flavour)
  const unknown = (await executedMigrations(db)).filter((name) => !Object.hasOwn(migrations, name))
  if (unknown.length > 0) {
    throw new SluiceError('data_newer', `the registry has migrations of a newer version: ${unknown.join(', ')}`)
  }
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error instanceof Error ? error : new Error('a migration failed', { cause: error })
}

async function executedMigrations(db: Kysely<RegistrySchema>): Promise<string[]> {
  const table = 'kysely_migration'
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(({ name }) => name === table)) return []
  const rows = await db.withTables<{ [table]: { name: string } }>().selectFrom(table).select('name').execute()
  return rows.map(({ name }) => name)
}
