import type { Kysely, Transaction } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { checkNewDeviceName, checkNewName } from '../../names.ts'
import { deviceKey } from '../../topics.ts'
import type { ChangeFeed } from './change-feed.ts'
import {
  CLAIM_KEY_PREFIX,
  isSameHash,
  MAX_CREDENTIAL_LENGTH,
  newClaimKey,
  newCredentialId,
  type CredentialHashes,
} from '../credentials.ts'
import type { SqlFlavour } from './sql-flavour.ts'
import type { ClaimKey, ClaimKeys } from '../identity-port.ts'
import { MAX_MAKE_ATTEMPTS } from './new-devices.ts'
import { encodeTags } from './queries.ts'
import { insertDevices } from './queries-new-devices.ts'
import { uidOfDevice } from './queries-identities.ts'
import { deleteCredentials, insertCredentials, makeCredential, type MadeCredential } from './queries-credentials.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

type Trx = Transaction<RegistrySchema>
type Row = RegistrySchema['claim_keys']

/** Most devices of one key. */
export const MAX_CLAIM_USES = 1_000_000

/** The provisioning keys of a registry on a database that kysely speaks to. */
export class SqlClaimKeys implements ClaimKeys {
  readonly #database: RegistryDatabase
  readonly #changes: ChangeFeed
  readonly #flavour: SqlFlavour
  readonly #hashes: CredentialHashes

  constructor(database: RegistryDatabase, changes: ChangeFeed, flavour: SqlFlavour, hashes: CredentialHashes) {
    this.#database = database
    this.#changes = changes
    this.#flavour = flavour
    this.#hashes = hashes
  }

  async create(options: Parameters<ClaimKeys['create']>[0]): Promise<ClaimKey & { key: string }> {
    const { tenant, maxUses, expiresMs } = options
    checkNewName('tenant', tenant)
    if (!Number.isInteger(maxUses) || maxUses < 1 || maxUses > MAX_CLAIM_USES) {
      throw new SluiceError('bad_request', `a key can have 1 to ${MAX_CLAIM_USES} uses`)
    }
    this.#database.checkRoom()
    const key = newClaimKey()
    const row: Row = {
      ...{ id: newCredentialId(), hash: this.#hashes.claimKey(key), key_id: this.#hashes.keyId, tenant },
      ...{ tags: encodeTags(tenant, options.tags), max_uses: maxUses, uses: 0 },
      ...{ created_ms: Date.now(), expires_ms: expiresMs ?? null },
    }
    await this.#database.run((db) => db.insertInto('claim_keys').values(row).execute())
    return { ...toClaimKey(row), key }
  }

  async list(): Promise<readonly ClaimKey[]> {
    const rows = await this.#database.run((db) =>
      db.selectFrom('claim_keys').selectAll().orderBy('created_ms', 'desc').orderBy('id').execute(),
    )
    return rows.map(toClaimKey)
  }

  async revoke(id: string): Promise<void> {
    const { numDeletedRows } = await this.#database.run((db) =>
      db.deleteFrom('claim_keys').where('id', '=', id).executeTakeFirstOrThrow(),
    )
    if (numDeletedRows === 0n) throw new SluiceError('not_found', 'no provisioning key has this id')
  }

  async claim(...[key, device, isUsed]: Parameters<ClaimKeys['claim']>): ReturnType<ClaimKeys['claim']> {
    checkNewDeviceName(device)
    this.#database.checkRoom()
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#database.run((db) => findKey(db, this.#hashes, key))
      const name = deviceKey(found.tenant, device)
      const used = await isUsed?.(found.tenant)
      const made = makeCredential(this.#hashes, name, { claimKey: found.id })
      try {
        await this.#changes.apply([name], (trx) => this.#make(trx, found, { device, isUsed: used }, made))
        return { ...made.shown, tenant: found.tenant, device, keyId: found.id }
      } catch (error) {
        // Somebody makes or removes the device at the same time.
        const cause = error instanceof Error ? error.cause : undefined
        if (attempt >= MAX_MAKE_ATTEMPTS || !this.#flavour.isDuplicate(cause)) throw error
      }
    }
  }

  async #make(
    trx: Trx,
    key: Row,
    { device, isUsed }: { readonly device: string; readonly isUsed: boolean | undefined },
    made: MadeCredential,
  ): Promise<void> {
    const { tenant } = key
    if ((await uidOfDevice(trx, tenant, device)) !== undefined) return replaceUnused(trx, key, device, made)
    const counted = await trx
      .updateTable('claim_keys')
      .set((eb) => ({ uses: eb('uses', '+', 1) }))
      .where('id', '=', key.id)
      .whereRef('uses', '<', 'max_uses')
      .executeTakeFirstOrThrow()
    if (counted.numUpdatedRows === 0n) throw refused()
    await insertDevices(trx, this.#flavour, [{ tenant, device, tags: key.tags, isUsed }], [made])
  }
}

/** The same device with the same key again, before its credentials were used: its first answer may have been lost. */
async function replaceUnused(trx: Trx, { id, tenant }: Row, device: string, made: MadeCredential): Promise<void> {
  const name = deviceKey(tenant, device)
  const pairs = await trx.selectFrom('credential_pairs').selectAll().where('principal', '=', name).execute()
  const isUnused = pairs.length > 0 && pairs.every((pair) => pair.claim_key === id && pair.first_used_ms === null)
  if (!isUnused) throw new SluiceError('already_exists', `device "${name}" already exists`)
  await deleteCredentials(
    trx,
    pairs.map(({ credential }) => credential),
  )
  await insertCredentials(trx, [made])
}

/** Error: `claim_refused`. */
async function findKey(db: Kysely<RegistrySchema>, hashes: CredentialHashes, key: string): Promise<Row> {
  if (!key.startsWith(CLAIM_KEY_PREFIX) || key.length > MAX_CREDENTIAL_LENGTH) throw refused()
  const asked = hashes.claimKey(key)
  const row = await db.selectFrom('claim_keys').selectAll().where('hash', '=', asked).executeTakeFirst()
  if (row === undefined || !isSameHash(row.hash, asked)) throw refused()
  if (row.expires_ms !== null && row.expires_ms <= Date.now()) throw refused()
  return row
}

/** One text for all: who has no key learns nothing from it. */
function refused(): SluiceError {
  return new SluiceError('claim_refused', 'the provisioning key is unknown, expired, revoked or used up')
}

function toClaimKey(row: Row): ClaimKey {
  const { id, tenant, max_uses: maxUses, uses, created_ms: createdMs, expires_ms: expires } = row
  const tags = JSON.parse(row.tags) as Record<string, string> // our own text
  return { id, tenant, tags, maxUses, uses, createdMs, expiresMs: expires ?? undefined }
}
