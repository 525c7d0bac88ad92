import type { Kysely, Transaction } from 'kysely'
import { checkRules } from '../acl.ts'
import { SluiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { FieldType } from '../telemetry.ts'
import { deviceKey, isName, parseDeviceKey } from '../topics.ts'
import { ChangeFeed } from './change-feed.ts'
import { credentialHashes, type CredentialHashes } from './credentials.ts'
import type { SqlFlavour } from './flavour.ts'
import * as logins from './logins.ts'
import { migrateToLatest } from './migrate.ts'
import type {
  AclRule,
  Application,
  AuditEntry,
  Device,
  FieldDeclaration,
  NewCredentials,
  Page,
  Principal,
  Registry,
  StreamState,
} from './port.ts'
import * as queries from './queries.ts'
import * as stateQueries from './queries-state.ts'
import { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

export interface SqlRegistryOptions {
  readonly db: Kysely<RegistrySchema>
  readonly flavour: SqlFlavour
  readonly credentialKey: Buffer
  readonly logger: Logger
}

/**
 * A registry on a database that kysely speaks to; it owns `db` once it is returned. Errors: `data_newer`,
 * `credential_key_mismatch`, `setting_invalid` (the key's length), and those of the flavour.
 */
export async function openSqlRegistry(options: SqlRegistryOptions): Promise<Registry> {
  const { db, flavour, credentialKey, logger } = options
  const hashes = credentialHashes(credentialKey)
  await migrateToLatest(db, flavour)
  const fact = { name: 'credential_key', value: hashes.keyId }
  const kept = db.selectFrom('registry_facts').select('value').where('name', '=', fact.name)
  // Looked for first, so that a registry that cannot be written at the moment can still be read.
  if ((await kept.executeTakeFirst()) === undefined) {
    await flavour.insertIfAbsent(db.insertInto('registry_facts').values(fact)).execute()
  }
  const { value } = await kept.executeTakeFirstOrThrow()
  if (value !== hashes.keyId) {
    const message = `this registry was made with credential key ${value}; the one given is ${hashes.keyId}`
    throw new SluiceError('credential_key_mismatch', message)
  }
  const database = new RegistryDatabase(db, flavour)
  return new SqlRegistry(database, await ChangeFeed.start(database, logger), flavour, hashes)
}

class SqlRegistry implements Registry {
  readonly #database: RegistryDatabase
  readonly #changes: ChangeFeed
  readonly #flavour: SqlFlavour
  readonly #hashes: CredentialHashes
  #closing: Promise<void> | undefined

  constructor(database: RegistryDatabase, changes: ChangeFeed, flavour: SqlFlavour, hashes: CredentialHashes) {
    this.#database = database
    this.#changes = changes
    this.#flavour = flavour
    this.#hashes = hashes
  }

  async createDevices(
    devices: readonly { tenant: string; device: string; tags?: Readonly<Record<string, string>> }[],
  ): Promise<readonly NewCredentials[]> {
    const rows = devices.map(({ tenant, device, tags }) => {
      queries.checkName('tenant', tenant)
      queries.checkName('device', device)
      return { tenant, device, tags: queries.encodeTags(deviceKey(tenant, device), tags) }
    })
    const names = rows.map(({ tenant, device }) => deviceKey(tenant, device))
    const seen = new Set<string>()
    for (const name of names) if (seen.size === seen.add(name).size) throw alreadyExists('device', name)
    if (rows.length === 0) return []
    const made = names.map((name) => logins.newLogin(this.#hashes, name))
    const credentials = made.flatMap(({ rows: hashed }) => hashed)
    await this.#database.run(async (db) => {
      try {
        await this.#changes.change(db, names, (trx) => queries.insertDevices(trx, this.#flavour, rows, credentials))
      } catch (error) {
        if (!this.#flavour.isDuplicate(error)) throw error
        const existing = await queries.firstExisting(db, rows)
        if (existing !== undefined) throw alreadyExists('device', existing)
        throw new SluiceError('registry_unavailable', 'the devices changed meanwhile; try again', { cause: error })
      }
    })
    for (const name of names) this.#changes.announce(name)
    return made.map(({ shown }) => shown)
  }

  async getDevice(tenant: string, device: string): Promise<Device | undefined> {
    if (!isName(tenant) || !isName(device)) return undefined
    return this.#database.run((db) => queries.findDevice(db, tenant, device))
  }

  async listDevices(query: { tenant?: string; cursor?: string; limit: number }): Promise<Page<Device>> {
    const { tenant, cursor, limit } = query
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
      throw new SluiceError('bad_request', 'limit is not a whole number from 1 to 1000')
    }
    const after = cursor === undefined ? undefined : queries.decodeCursor(cursor, tenant)
    if (tenant !== undefined && !isName(tenant)) return { items: [], next: undefined }
    return this.#database.run((db) => queries.pageOfDevices(db, { tenant, after, limit }))
  }

  async removeDevice(tenant: string, device: string): Promise<void> {
    const name = deviceKey(tenant, device)
    if (parseDeviceKey(name) === undefined) throw notFound('device', name)
    await this.#changeOne('device', name, (trx) => queries.deleteDevice(trx, tenant, device))
  }

  async createApplication(name: string, rules: readonly AclRule[]): Promise<NewCredentials> {
    queries.checkName('application', name)
    checkRules(rules)
    const { shown, rows } = logins.newLogin(this.#hashes, name)
    await this.#database.run(async (db) => {
      try {
        await this.#changes.change(db, [name], (trx) => queries.insertApplication(trx, name, rules, rows))
      } catch (error) {
        throw this.#flavour.isDuplicate(error) ? alreadyExists('application', name) : error
      }
    })
    this.#changes.announce(name)
    return shown
  }

  async getApplication(name: string): Promise<Application | undefined> {
    if (!isName(name)) return undefined
    const [application] = await this.#database.run((db) => queries.findApplications(db, name))
    return application
  }

  async listApplications(): Promise<readonly Application[]> {
    return this.#database.run((db) => queries.findApplications(db))
  }

  async setRules(name: string, rules: readonly AclRule[]): Promise<void> {
    if (!isName(name)) throw notFound('application', name)
    checkRules(rules)
    await this.#changeOne('application', name, (trx) => queries.replaceRules(trx, name, rules))
  }

  async removeApplication(name: string): Promise<void> {
    if (!isName(name)) throw notFound('application', name)
    await this.#changeOne('application', name, (trx) => queries.deleteApplication(trx, name))
  }

  async verifySecret(username: string, secret: string): Promise<Principal | undefined> {
    return this.#database.run((db) => logins.loginBySecret(db, this.#hashes, username, secret))
  }

  async verifyToken(token: string): Promise<Principal | undefined> {
    return this.#database.run((db) => logins.loginByToken(db, this.#hashes, token))
  }

  async applicationPrincipal(name: string): Promise<Principal | undefined> {
    const application = await this.getApplication(name)
    return application === undefined ? undefined : { kind: 'application', name, rules: application.rules }
  }

  onChange(listener: (name: string) => void): () => void {
    return this.#changes.listen(listener)
  }

  async setAdminKey(key: string): Promise<boolean> {
    return this.#database.run((db) => logins.setAdminKey(db, this.#flavour, this.#hashes, key))
  }

  async verifyApiKey(key: string): Promise<string | undefined> {
    return this.#database.run((db) => logins.nameOfApiKey(db, this.#hashes, key))
  }

  async pinFieldTypes(fields: readonly FieldDeclaration[]): Promise<readonly FieldType[]> {
    return this.#database.run((db) => stateQueries.pinTypes(db, this.#flavour, fields))
  }

  async readState(tenant: string, device: string): Promise<readonly StreamState[]> {
    return this.#database.run((db) => stateQueries.statesOfDevice(db, tenant, device))
  }

  async readStreams(
    streams: readonly { tenant: string; device: string; stream: string }[],
  ): Promise<readonly (StreamState | undefined)[]> {
    return this.#database.run((db) => stateQueries.statesOfStreams(db, streams))
  }

  async writeState(rows: readonly StreamState[]): Promise<void> {
    if (rows.length === 0) return
    await this.#database.run((db) =>
      db.transaction().execute((trx) => stateQueries.writeStates(trx, this.#flavour, rows)),
    )
  }

  async audit({ who, action, subject, detail }: AuditEntry): Promise<void> {
    const row = {
      at_ms: Date.now(),
      who: who.slice(0, 256),
      action: action.slice(0, 64),
      subject: subject.slice(0, 256),
      detail: detail?.slice(0, 2000) ?? null,
    }
    await this.#database.run((db) => db.insertInto('audit_log').values(row).execute())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const database = this.#database.close()
    await this.#changes.close()
    await database
  }

  /** `work` says whether there was anything to change. */
  async #changeOne(
    what: string,
    name: string,
    work: (trx: Transaction<RegistrySchema>) => Promise<boolean>,
  ): Promise<void> {
    await this.#database.run((db) =>
      this.#changes.change(db, [name], async (trx) => {
        if (!(await work(trx))) throw notFound(what, name)
      }),
    )
    this.#changes.announce(name)
  }
}

function alreadyExists(what: string, name: string): SluiceError {
  return new SluiceError('already_exists', `${what} "${name}" already exists`)
}

function notFound(what: string, name: string): SluiceError {
  return new SluiceError('not_found', `there is no ${what} ${JSON.stringify(name.slice(0, 160))}`)
}
