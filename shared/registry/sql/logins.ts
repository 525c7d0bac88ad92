import type { Kysely } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { isName } from '../../names.ts'
import { parseDeviceKey } from '../../topics.ts'
import {
  API_KEY_PREFIX,
  isApiKey,
  isSameHash,
  MAX_CREDENTIAL_LENGTH,
  TOKEN_PREFIX,
  type CredentialHashes,
} from '../credentials.ts'
import type { SqlFlavour } from './sql-flavour.ts'
import type { Principal } from '../port.ts'
import { findApplications } from './queries.ts'
import { nameNow, uidOfDevice } from './queries-identities.ts'
import { findToken, loginStateOf, secretsOf, type FoundCredential } from './queries-credentials.ts'
import type { RegistrySchema } from './schema.ts'

/** Whose a credential is: known by its hash only. */

type Db = Kysely<RegistrySchema>

const ADMIN = 'admin'
/** Longest username, in UTF-16 units: what the tables hold. */
export const MAX_USERNAME = 256

/** True for what a login may be called: our names, and those of another broker, without control characters. */
export function isUsername(text: string): boolean {
  return text.length > 0 && text.length <= MAX_USERNAME && text.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(text)
}

export async function findSecret(
  db: Db,
  hashes: CredentialHashes,
  username: string,
  secret: string,
): Promise<FoundCredential | undefined> {
  if (secret.length > MAX_CREDENTIAL_LENGTH || !isUsername(username)) return undefined
  const asked = hashes.secret(username, secret)
  // Every hash is compared, whether or not an earlier one matched.
  return (await secretsOf(db, username)).filter(({ hash }) => isSameHash(hash, asked))[0]
}

export async function findByToken(
  db: Db,
  hashes: CredentialHashes,
  token: string,
): Promise<FoundCredential | undefined> {
  if (!token.startsWith(TOKEN_PREFIX) || token.length > MAX_CREDENTIAL_LENGTH) return undefined
  const asked = hashes.token(token)
  const found = await findToken(db, asked)
  return found !== undefined && isSameHash(found.hash, asked) ? found : undefined
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
      `the admin key must be ${API_KEY_PREFIX} followed by 32 or more characters of A-Za-z0-9_-`,
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

/** Of one whose credentials were found. Undefined when the device or application went since they were read. */
export async function principalOf(db: Db, name: string): Promise<Principal | undefined> {
  const device = parseDeviceKey(name)
  if (device !== undefined) {
    const uid = await uidOfDevice(db, device.tenant, device.device)
    return uid === undefined ? undefined : { kind: 'device', name, ...device, uid }
  }
  const [application] = await findApplications(db, name)
  return application === undefined ? undefined : { kind: 'application', name, rules: application.rules }
}

/** Of a name that somebody else vouches for: it must exist and be enabled. */
export async function existingPrincipal(db: Db, name: string): Promise<Principal | undefined> {
  if (parseDeviceKey(name) === undefined && !isName(name)) return undefined
  const found = await principalOf(db, name)
  if (found === undefined) {
    // A certificate goes on naming a device as it was called when it was made.
    const now = await nameNow(db, name)
    return now === undefined ? undefined : existingPrincipal(db, now)
  }
  return (await loginStateOf(db, name)).disabled ? undefined : found
}
