import type { Kysely, Transaction } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { isName } from '../../names.ts'
import { parseDeviceKey } from '../../topics.ts'
import type { ChangeFeed } from './change-feed.ts'
import type { CredentialHashes } from '../credentials.ts'
import type { CredentialInfo, Credentials, ImportedPassword } from '../identity-port.ts'
import { checkImportedPassword, rowOfPassword } from './imported-passwords.ts'
import { isUsername } from './logins.ts'
import type { NewCredentials } from '../names.ts'
import { findApplications } from './queries.ts'
import { uidOfDevice } from './queries-identities.ts'
import {
  credentialsOf,
  deleteCredentials,
  deleteLogins,
  insertCredentials,
  makeCredential,
} from './queries-credentials.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

type Trx = Transaction<RegistrySchema>

/** Longest time for which a rotation keeps the old credential: three months. */
export const MAX_OVERLAP_MS = 92 * 86_400_000

/** The credentials of a registry on a database that kysely speaks to. */
export class SqlCredentials implements Credentials {
  readonly #database: RegistryDatabase
  readonly #changes: ChangeFeed
  readonly #hashes: CredentialHashes

  constructor(database: RegistryDatabase, changes: ChangeFeed, hashes: CredentialHashes) {
    this.#database = database
    this.#changes = changes
    this.#hashes = hashes
  }

  async list(name: string): Promise<readonly CredentialInfo[]> {
    return this.#database.run(async (db) => {
      await requireLogin(db, name)
      return credentialsOf(db, name)
    })
  }

  async rotate(name: string, overlapMs: number): Promise<NewCredentials & { readonly oldEndsMs: number }> {
    if (!Number.isSafeInteger(overlapMs) || overlapMs < 0 || overlapMs > MAX_OVERLAP_MS) {
      throw new SluiceError('bad_request', `the overlap must be 0 to ${MAX_OVERLAP_MS} ms`)
    }
    this.#database.checkRoom()
    return this.#changes.apply([name], async (trx) => {
      await requireLogin(trx, name)
      const oldEndsMs = Date.now() + overlapMs
      const username = await retire(trx, name, oldEndsMs)
      const made = makeCredential(this.#hashes, name, { username, replaces: true })
      await insertCredentials(trx, [made])
      return { ...made.shown, oldEndsMs }
    })
  }

  async revoke(name: string): Promise<void> {
    await this.#end(name, (trx) => deleteLogins(trx, [name], { withState: false }))
  }

  async setDisabled(name: string, disabled: boolean): Promise<void> {
    if (disabled) return this.#end(name, async () => {})
    // A username that was refused meanwhile is forgotten by this too.
    const usernames = (await this.list(name)).map(({ username }) => username)
    await this.#changes.apply([...new Set([name, ...usernames])], async (trx) => {
      await requireLogin(trx, name)
      await trx.updateTable('login_states').set({ disabled: 0 }).where('name', '=', name).execute()
    })
  }

  async importPassword(name: string, username: string, password: ImportedPassword): Promise<void> {
    checkImportedPassword(password)
    if (!isUsername(username)) throw new SluiceError('name_invalid', 'the imported username is not valid in Sluice')
    this.#database.checkRoom()
    const row = {
      ...{ username, principal: name, created_ms: Date.now(), expires_ms: null },
      ...rowOfPassword(password),
    }
    await this.#changes.apply(name === username ? [name] : [name, username], async (trx) => {
      await requireLogin(trx, name)
      await requireFree(trx, username, name)
      await trx.insertInto('imported_passwords').values(row).execute()
    })
  }

  /** Disables a login and does more to it; its connections and what is kept for it go. */
  async #end(name: string, more: (trx: Trx) => Promise<void>): Promise<void> {
    const work = async (trx: Trx): Promise<void> => {
      await requireLogin(trx, name)
      await trx.replaceInto('login_states').values({ name, disabled: 1, ended_ms: Date.now() }).execute()
      await more(trx)
    }
    await this.#changes.apply([name], work, true)
  }
}

/**
 * Lets what there is end by then (whole milliseconds), and deletes what an earlier rotation made and nobody used. The username of
 * the newest, which the successor keeps.
 */
async function retire(trx: Trx, name: string, end: number): Promise<string> {
  const now = Date.now()
  const endsNow = end <= now
  const pairs = await trx.selectFrom('credential_pairs').selectAll().where('principal', '=', name).execute()
  const imported = await trx.selectFrom('imported_passwords').selectAll().where('principal', '=', name).execute()
  const goes = pairs.filter(({ replaces, first_used_ms: used, expires_ms: expires }) => {
    return endsNow || (replaces === 1 && used === null) || (expires !== null && expires <= now)
  })
  await deleteCredentials(
    trx,
    goes.map(({ credential }) => credential),
  )
  if (endsNow) await trx.deleteFrom('imported_passwords').where('principal', '=', name).execute()
  for (const table of ['credential_pairs', 'imported_passwords'] as const) {
    await trx
      .updateTable(table)
      .set({ expires_ms: end })
      .where('principal', '=', name)
      .where((eb) => eb.or([eb('expires_ms', 'is', null), eb('expires_ms', '>', end)]))
      .execute()
  }
  // Of one millisecond the imported one is newer: its login, and the credential made with it, were there before.
  const newest = [...imported, ...pairs].sort((a, b) => b.created_ms - a.created_ms)[0]
  return newest?.username ?? name
}

/** Error: `not_found`. */
async function requireLogin(db: Kysely<RegistrySchema>, name: string): Promise<void> {
  const device = parseDeviceKey(name)
  const exists =
    device === undefined
      ? isName(name) && (await findApplications(db, name)).length > 0
      : (await uidOfDevice(db, device.tenant, device.device)) !== undefined
  if (exists) return
  const what = device === undefined ? 'application' : 'device'
  throw new SluiceError('not_found', `no such ${what}: ${JSON.stringify(name.slice(0, 160))}`)
}

/** Nobody else logs in by this name. Error: `already_exists`. */
async function requireFree(trx: Trx, username: string, name: string): Promise<void> {
  const issued = trx.selectFrom('credential_pairs').select('principal').where('username', '=', username)
  const imported = trx.selectFrom('imported_passwords').select('principal').where('username', '=', username)
  const others = (await issued.execute()).some(({ principal }) => principal !== name)
  if (!others && (await imported.executeTakeFirst()) === undefined) return
  throw new SluiceError('already_exists', `the username ${JSON.stringify(username.slice(0, 160))} is already in use`)
}
