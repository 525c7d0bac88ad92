import type { Kysely, Transaction } from 'kysely'
import { newCredentialId, newSecret, newToken, type CredentialHashes } from '../credentials.ts'
import type { CredentialInfo } from '../identity-port.ts'
import type { NewCredentials } from '../names.ts'
import type { LoginState } from '../port.ts'
import { chunks, insertAll } from './queries-rows.ts'
import type { RegistrySchema } from './schema.ts'

/** Credentials as they are stored: pairs of a secret and a token, by their hashes, and whose they are. */

type Db = Kysely<RegistrySchema>
type Pair = RegistrySchema['credential_pairs']

/** A credential that was made: what is shown of it once, and its rows. */
export interface MadeCredential {
  readonly shown: NewCredentials
  readonly pair: Pair
  readonly hashes: readonly RegistrySchema['credentials'][]
}

interface MakeOptions {
  readonly username?: string
  readonly replaces?: boolean
  readonly claimKey?: string
}

export function makeCredential(
  hashes: CredentialHashes,
  principal: string,
  { username = principal, replaces = false, claimKey }: MakeOptions = {},
): MadeCredential {
  const shown = { username, secret: newSecret(), token: newToken() }
  const pair = newPair(principal, username, { replaces: replaces ? 1 : 0, claim_key: claimKey ?? null })
  const row = hashRow(hashes, pair)
  return {
    shown,
    pair,
    hashes: [row('secret', hashes.secret(username, shown.secret)), row('token', hashes.token(shown.token))],
  }
}

export function newPair(principal: string, username: string, more: Partial<Pair> = {}): Pair {
  const unused = { expires_ms: null, first_used_ms: null, last_used_ms: null, replaces: 0, claim_key: null }
  return { credential: newCredentialId(), principal, username, created_ms: Date.now(), ...unused, ...more }
}

export function hashRow(hashes: CredentialHashes, { credential, principal, created_ms }: Pair) {
  return (kind: 'secret' | 'token', hash: string): RegistrySchema['credentials'] => {
    return { hash, kind, principal, key_id: hashes.keyId, created_ms, credential }
  }
}

export async function insertCredentials(db: Transaction<RegistrySchema>, made: readonly MadeCredential[]) {
  await insertAll(
    db,
    'credential_pairs',
    made.map(({ pair }) => pair),
  )
  await insertAll(
    db,
    'credentials',
    made.flatMap(({ hashes }) => hashes),
  )
}

/** A credential that somebody presents, found by its username or hash. */
export interface FoundCredential {
  readonly hash: string
  readonly principal: string
  readonly credential: string
  readonly first_used_ms: number | null
  readonly last_used_ms: number | null
  readonly replaces: number
  readonly claim_key: string | null
}

/** Those of logins that are enabled and of credentials that have not ended. */
function selectPresented(db: Db) {
  return db
    .selectFrom('credential_pairs as p')
    .innerJoin('credentials as c', 'c.credential', 'p.credential')
    .leftJoin('login_states as s', 's.name', 'p.principal')
    .select(['c.hash', 'p.principal', 'p.credential', 'p.first_used_ms', 'p.last_used_ms', 'p.replaces', 'p.claim_key'])
    .where((eb) => eb.or([eb('p.expires_ms', 'is', null), eb('p.expires_ms', '>', Date.now())]))
    .where((eb) => eb.or([eb('s.disabled', 'is', null), eb('s.disabled', '=', 0)]))
}

export async function secretsOf(db: Db, username: string): Promise<FoundCredential[]> {
  return selectPresented(db).where('p.username', '=', username).where('c.kind', '=', 'secret').execute()
}

export async function findToken(db: Db, hash: string): Promise<FoundCredential | undefined> {
  return selectPresented(db).where('c.hash', '=', hash).where('c.kind', '=', 'token').executeTakeFirst()
}

/** Everything in force, the oldest first. */
export async function credentialsOf(db: Db, principal: string): Promise<CredentialInfo[]> {
  const now = Date.now()
  const pairs = await db.selectFrom('credential_pairs').selectAll().where('principal', '=', principal).execute()
  const imported = await db.selectFrom('imported_passwords').selectAll().where('principal', '=', principal).execute()
  const infos = [
    ...pairs.map((row): CredentialInfo => {
      const { credential: id, username, created_ms: createdMs, last_used_ms: used, expires_ms: expires } = row
      return {
        ...{ id, username, kind: 'issued', createdMs },
        lastUsedMs: used ?? undefined,
        expiresMs: expires ?? undefined,
      }
    }),
    ...imported.map(({ username, created_ms: createdMs, expires_ms: expires }): CredentialInfo => {
      const id = `imported:${username}`
      return { id, username, kind: 'imported', createdMs, lastUsedMs: undefined, expiresMs: expires ?? undefined }
    }),
  ]
  return infos
    .filter(({ expiresMs }) => expiresMs === undefined || expiresMs > now)
    .sort((a, b) => a.createdMs - b.createdMs)
}

/** Deletes these credentials with their hashes. */
export async function deleteCredentials(db: Transaction<RegistrySchema>, ids: readonly string[]): Promise<void> {
  for (const chunk of chunks(ids)) {
    await db.deleteFrom('credentials').where('credential', 'in', chunk).execute()
    await db.deleteFrom('credential_pairs').where('credential', 'in', chunk).execute()
  }
}

/** Deletes everything these logins log in with; their states only when they go themselves. */
export async function deleteLogins(
  db: Transaction<RegistrySchema>,
  principals: readonly string[],
  { withState }: { withState: boolean },
): Promise<void> {
  for (const chunk of chunks(principals)) {
    await db.deleteFrom('credentials').where('principal', 'in', chunk).execute()
    await db.deleteFrom('credential_pairs').where('principal', 'in', chunk).execute()
    await db.deleteFrom('imported_passwords').where('principal', 'in', chunk).execute()
    if (withState) await db.deleteFrom('login_states').where('name', 'in', chunk).execute()
  }
}

export async function loginStateOf(db: Db, name: string): Promise<LoginState> {
  const row = await db.selectFrom('login_states').selectAll().where('name', '=', name).executeTakeFirst()
  return toLoginState(row?.disabled ?? null, row?.ended_ms ?? null)
}

export function toLoginState(disabled: number | null, endedMs: number | null): LoginState {
  return { disabled: disabled === 1, endedMs: endedMs ?? undefined }
}
