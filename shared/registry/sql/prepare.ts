import { SluiceError } from '../../errors.ts'
import { migrateToLatest } from './migrate.ts'
import type { SqlRegistryOptions } from './sql-options.ts'

/**
 * Brings a registry's tables to this version and checks that it was made with the key named `keyId`; a new one is made
 * with it. Errors: `data_newer`, `credential_key_mismatch`, and those of the flavour.
 */
export async function prepareRegistry(
  { db, flavour }: Pick<SqlRegistryOptions, 'db' | 'flavour'>,
  keyId: string,
): Promise<void> {
  await migrateToLatest(db, flavour)
  const fact = { name: 'credential_key', value: keyId }
  const kept = db.selectFrom('registry_facts').select('value').where('name', '=', fact.name)
  // Looked for first, so that a registry that cannot be written at the moment can still be read.
  if ((await kept.executeTakeFirst()) === undefined) {
    await flavour.insertIfAbsent(db.insertInto('registry_facts').values(fact)).execute()
  }
  const { value } = await kept.executeTakeFirstOrThrow()
  if (value === keyId) return
  const message = `this registry was created with credential key ${value}, but CREDENTIAL_KEY, or the file credential-key, is ${keyId}`
  throw new SluiceError('credential_key_mismatch', message)
}
