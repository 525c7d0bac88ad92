import type { Kysely } from 'kysely'
import { isName, parseDeviceKey } from '../topics.ts'
import { SluiceError } from '../errors.ts'
import {
  API_KEY_PREFIX,
  isApiKey,
  isSameHash,
  MAX_CREDENTIAL_LENGTH,
  newSecret,
  newToken,
  TOKEN_PREFIX,
} from './credentials.ts'
import type { CredentialHashes } from './credentials.ts'
import type { SqlFlavour } from './flavour.ts'
import type { NewCredentials, Principal } from './port.ts'
import { findApplications, type CredentialRow } from './queries.ts'
import type { RegistrySchema } from './schema.ts'

/** Logins and API keys: made, shown once, and from then on known by their hashes only. */

type Db = Kysely<RegistrySchema>

const ADMIN = 'admin'

export function newLogin(hashes: CredentialHashes, username: string): { shown: NewCredentials; rows: CredentialRow[] } {
  const shown = { username, secret: newSecret(), token: newToken() }
  const row = (kind: CredentialRow['kind'], hash: string): CredentialRow => {
    return { hash, kind, principal: username, key_id: hashes.keyId, created_ms: Date.now() }
  }
  const rows = [row('secret', hashes.secret(username, shown.secret)), row('token', hashes.token(shown.token))]
  return { shown, rows }
}

export async function loginBySecret(
  db: Db,
  hashes: CredentialHashes,
  username: string,
  secret: string,
): Promise<Principal | undefined> {
  if (secret.length > MAX_CREDENTIAL_LENGTH) return undefined
  if (!isName(username) && parseDeviceKey(username) === undefined) return undefined
  const asked = hashes.secret(username, secret)
  const query = db.selectFrom('credentials').select('hash').where('principal', '=', username)
  const rows = await query.where('kind', '=', 'secret').execute()
  // Every hash is compared, whether or not an earlier one matched.
  const matching = rows.filter(({ hash }) => isSameHash(hash, asked))
  return matching.length > 0 ? principalOf(db, username) : undefined
}

export async function loginByToken(db: Db, hashes: CredentialHashes, token: string): Promise<Principal | undefined> {
  if (!token.startsWith(TOKEN_PREFIX) || token.length > MAX_CREDENTIAL_LENGTH) return undefined
  const asked = hashes.token(token)
  const query = db.selectFrom('credentials').select(['hash', 'principal']).where('hash', '=', asked)
  const row = await query.where('kind', '=', 'token').executeTakeFirst()
  return row !== undefined && isSameHash(row.hash, asked) ? principalOf(db, row.principal) : undefined
}

/** True when there was no admin key before. Error: `setting_invalid` for a key that could be guessed. */
export async function setAdminKey(
  db: Db,
  flavour: SqlFlavour,
  hashes: CredentialHashes,
  key: string,
): Promise<boolean> {
  if (!isApiKey(key)) {
    throw new SluiceError(
      'setting_invalid',
      `the admin key must be ${API_KEY_PREFIX} and 32 or more characters of A-Za-z0-9_-`,
    )
  }
  const row = { name: ADMIN, hash: hashes.apiKey(key), key_id: hashes.keyId, created_ms: Date.now() }
  const insert = flavour.insertIfAbsent(db.insertInto('api_keys').values(row))
  const { numInsertedOrUpdatedRows } = await insert.executeTakeFirstOrThrow()
  if (numInsertedOrUpdatedRows === 1n) return true
  const { hash, key_id, created_ms } = row
  await db
    .updateTable('api_keys')
    .set({ hash, key_id, created_ms })
    .where('name', '=', ADMIN)
    .where('hash', '!=', hash)
    .execute()
  return false
}

export async function nameOfApiKey(db: Db, hashes: CredentialHashes, key: string): Promise<string | undefined> {
  if (!isApiKey(key)) return undefined
  const asked = hashes.apiKey(key)
  const row = await db.selectFrom('api_keys').select(['hash', 'name']).where('hash', '=', asked).executeTakeFirst()
  return row !== undefined && isSameHash(row.hash, asked) ? row.name : undefined
}

/** Undefined when the application went since its credentials were read. */
async function principalOf(db: Db, name: string): Promise<Principal | undefined> {
  const device = parseDeviceKey(name)
  if (device !== undefined) return { kind: 'device', name, ...device }
  const [application] = await findApplications(db, name)
  return application === undefined ? undefined : { kind: 'application', name, rules: application.rules }
}
