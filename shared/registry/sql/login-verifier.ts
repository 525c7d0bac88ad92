import type { Kysely } from 'kysely'
import type { ChangeFeed } from './change-feed.ts'
import type { CredentialUses } from './credential-uses.ts'
import { MAX_CREDENTIAL_LENGTH, type CredentialHashes } from '../credentials.ts'
import { PasswordChecks } from './imported-passwords.ts'
import { findByToken, findSecret, isUsername, principalOf } from './logins.ts'
import type { RegistryParts } from './new-devices.ts'
import type { Principal } from '../port.ts'
import { hashRow, loginStateOf, newPair } from './queries-credentials.ts'
import { insertAll } from './queries-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

type Imported = RegistrySchema['imported_passwords']

/** Says whose a login is, notes that it was used, and takes over passwords that were imported. */
export class LoginVerifier {
  readonly #database: RegistryDatabase
  readonly #changes: ChangeFeed
  readonly #hashes: CredentialHashes
  readonly #uses: CredentialUses
  readonly #checks: PasswordChecks

  constructor({ database, changes, hashes, metrics }: RegistryParts, uses: CredentialUses) {
    this.#checks = new PasswordChecks(metrics)
    this.#database = database
    this.#changes = changes
    this.#hashes = hashes
    this.#uses = uses
  }

  async bySecret(username: string, secret: string): Promise<Principal | undefined> {
    const found = await this.#database.run((db) => findSecret(db, this.#hashes, username, secret))
    if (found === undefined) return this.#byImportedPassword(username, secret)
    await this.#uses.note(found)
    return this.#database.run((db) => principalOf(db, found.principal))
  }

  async byToken(token: string): Promise<Principal | undefined> {
    const found = await this.#database.run((db) => findByToken(db, this.#hashes, token))
    if (found === undefined) return undefined
    await this.#uses.note(found)
    return this.#database.run((db) => principalOf(db, found.principal))
  }

  async #byImportedPassword(username: string, password: string): Promise<Principal | undefined> {
    if (!isUsername(username) || password.length > MAX_CREDENTIAL_LENGTH) return undefined
    const row = await this.#database.run((db) => importedOf(db, username))
    if (row === undefined) return undefined
    if (!(await this.#checks.matches(password, row))) return undefined
    await this.#upgrade(row, password)
    return this.#database.run((db) => principalOf(db, row.principal))
  }

  /** Our own hash in the place of the imported one: from now on a check costs microseconds. */
  async #upgrade({ username, principal, hash, expires_ms }: Imported, password: string): Promise<void> {
    const now = Date.now()
    await this.#changes.apply([principal], async (trx) => {
      const known = trx.deleteFrom('imported_passwords').where('username', '=', username).where('hash', '=', hash)
      const { numDeletedRows } = await known.executeTakeFirstOrThrow()
      if (numDeletedRows === 0n) return
      const pair = newPair(principal, username, { expires_ms, first_used_ms: now, last_used_ms: now })
      await insertAll(trx, 'credential_pairs', [pair])
      const row = hashRow(this.#hashes, pair)('secret', this.#hashes.secret(username, password))
      await insertAll(trx, 'credentials', [row])
    })
  }
}

/** Of a login that is enabled and has not ended. */
async function importedOf(db: Kysely<RegistrySchema>, username: string): Promise<Imported | undefined> {
  const row = await db.selectFrom('imported_passwords').selectAll().where('username', '=', username).executeTakeFirst()
  if (row === undefined || (row.expires_ms !== null && row.expires_ms <= Date.now())) return undefined
  return (await loginStateOf(db, row.principal)).disabled ? undefined : row
}
