import type { Kysely } from 'kysely'
import { isName, parseDeviceKey } from '../topics.ts'
import { API_KEY_PREFIX, isSameHash, newApiKey, newSecret, newToken, TOKEN_PREFIX } from './credentials.ts'
import type { CredentialHashes } from './credentials.ts'
import type { SqlFlavour } from './flavour.ts'
import type { NewCredentials, Principal } from './port.ts'
import { findApplications, type CredentialRow } from './queries.ts'
import type { RegistrySchema } from './schema.ts'

/** Logins and API keys: made, shown once, and from then on known by their hashes only. */

type Db = Kysely<RegistrySchema>

/** Longest secret, token or API key that is looked at; ours have 36 characters at most. */
const MAX_CREDENTIAL_LENGTH = 256
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

/** The key when it was made now; undefined when there is one already. */
export async function makeAdminKey(db: Db, flavour: SqlFlavour, hashes: CredentialHashes): Promise<string | undefined> {
  const key = newApiKey()
  const row = { name: ADMIN, hash: hashes.apiKey(key), key_id: hashes.keyId, created_ms: Date.now() }
  const insert = flavour.insertIfAbsent(db.insertInto('api_keys').values(row))
  const { numInsertedOrUpdatedRows } = await insert.executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n ? key : undefined
}

export async function nameOfApiKey(db: Db, hashes: CredentialHashes, key: string): Promise<string | undefined> {
  if (!key.startsWith(API_KEY_PREFIX) || key.length > MAX_CREDENTIAL_LENGTH) return undefined
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
