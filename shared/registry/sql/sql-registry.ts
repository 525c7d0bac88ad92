import type { Transaction } from 'kysely'
import { checkRules } from '../../acl.ts'
import { isDeviceName, isName } from '../../names.ts'
import type { FieldType } from '../../telemetry.ts'
import { deviceKey, type TelemetryTopic } from '../../topics.ts'
import { insertAudit, newestAudit } from './audit-log.ts'
import { ChangeFeed } from './change-feed.ts'
import { SqlClaimKeys } from './claim-key-store.ts'
import { SqlCredentials } from './credential-store.ts'
import { SqlDeclaredTypes } from './declared-type-store.ts'
import { SqlDecoders } from './decoder-store.ts'
import { DeviceNameCache } from './device-name-cache.ts'
import { SqlFacts } from './fact-store.ts'
import { SqlDeviceFields } from './field-store.ts'
import { CredentialUses } from './credential-uses.ts'
import { credentialHashes, type CredentialHashes } from '../credentials.ts'
import { SqlJobs } from './job-store.ts'
import { SqlLetterNotes } from './letter-store.ts'
import type { SqlFlavour } from './sql-flavour.ts'
import type { AuditRecord, ClaimKeys, Credentials } from '../identity-port.ts'
import { LoginVerifier } from './login-verifier.ts'
import * as logins from './logins.ts'
import type { DeviceName, NewCredentials } from '../names.ts'
import { admitDevice } from './admitted-devices.ts'
import type { AclRule, Admission, Application, AuditEntry, ChangeListener, Device, DeviceFilter } from '../port.ts'
import type { DeviceToMake, FieldDeclaration, MakesDevices, Page, Principal, Registry, StreamState } from '../port.ts'
import type { Presence } from '../presence-port.ts'
import { SqlPresence } from './presence-store.ts'
import { SqlPolicies } from './policy-store.ts'
import { prepareRegistry } from './prepare.ts'
import { changeApplication, createApplication } from './new-applications.ts'
import * as queries from './queries.ts'
import { findDevice, listDevices, recentDevices } from './queries-devices.ts'
import { createDevices, notFound, renameDevice, type RegistryParts } from './new-devices.ts'
import * as stateQueries from './queries-state.ts'
import { RegistryDatabase } from './registry-database.ts'
import type { SqlRegistryOptions } from './sql-options.ts'
import type { RegistrySchema } from './schema.ts'
import { SqlStampSlots } from './stamp-slot-store.ts'
import { SqlTombstones } from './tombstone-store.ts'
import { SqlWatches } from './watch-store.ts'

/**
 * A registry on a database that kysely speaks to; it owns `db` once it is returned. Errors: `data_newer`,
 * `credential_key_mismatch`, `setting_invalid` (the key's length), and those of the flavour.
 */
export async function openSqlRegistry(options: SqlRegistryOptions): Promise<Registry> {
  const { db, flavour, credentialKey, logger, metrics } = options
  const hashes = credentialHashes(credentialKey)
  await prepareRegistry(options, hashes.keyId)
  const database = new RegistryDatabase(db, flavour, options.room)
  const changes = await ChangeFeed.start(database, logger)
  const names = await DeviceNameCache.open({ database, changes, logger, metrics })
  const parts = { database, changes, flavour, hashes, logger, metrics, names }
  const policies = await SqlPolicies.open(parts)
  const watches = await SqlWatches.open(parts)
  return new SqlRegistry({ ...parts, policies, watches, declaredTypes: await SqlDeclaredTypes.open(parts) })
}

const nameOf = ({ tenant, device }: DeviceName): string => deviceKey(tenant, device)

class SqlRegistry implements Registry {
  readonly #database: RegistryDatabase
  readonly #changes: ChangeFeed
  readonly #flavour: SqlFlavour
  readonly #hashes: CredentialHashes
  readonly #parts: RegistryParts
  readonly #uses: CredentialUses
  readonly #verifier: LoginVerifier
  readonly credentials: Credentials
  readonly claimKeys: ClaimKeys
  readonly presence: Presence
  readonly stampSlots: SqlStampSlots
  readonly fields: SqlDeviceFields
  readonly facts: SqlFacts
  readonly jobs: SqlJobs
  readonly letterNotes: SqlLetterNotes
  readonly tombstones: SqlTombstones
  readonly names: DeviceNameCache
  readonly policies: SqlPolicies
  readonly declaredTypes: SqlDeclaredTypes
  readonly watches: SqlWatches
  readonly decoders: SqlDecoders
  #closing: Promise<void> | undefined

  constructor(parts: RegistryParts) {
    const { database, changes, flavour, hashes } = parts
    this.#parts = parts
    this.names = parts.names
    this.policies = parts.policies
    this.declaredTypes = parts.declaredTypes
    this.watches = parts.watches
    this.decoders = new SqlDecoders(parts)
    this.#database = database
    this.#changes = changes
    this.#flavour = flavour
    this.#hashes = hashes
    this.#uses = new CredentialUses(parts)
    this.#verifier = new LoginVerifier(parts, this.#uses)
    this.credentials = new SqlCredentials(database, changes, hashes)
    this.claimKeys = new SqlClaimKeys(database, changes, flavour, hashes)
    this.presence = new SqlPresence(database, flavour)
    this.fields = new SqlDeviceFields(database)
    this.facts = new SqlFacts(database, flavour)
    this.stampSlots = new SqlStampSlots(database, flavour)
    this.jobs = new SqlJobs(database, flavour)
    this.letterNotes = new SqlLetterNotes(database)
    this.tombstones = new SqlTombstones(database, flavour, parts.metrics)
  }

  async createDevices(devices: readonly DeviceToMake[]): Promise<readonly NewCredentials[]> {
    return createDevices(this.#parts, devices)
  }

  async getDevice(tenant: string, device: string): Promise<Device | undefined> {
    if (!isName(tenant) || !isDeviceName(device)) return undefined
    return this.#database.run((db) => findDevice(db, tenant, device))
  }

  listDevices(query: DeviceFilter & { cursor?: string; limit: number }): Promise<Page<Device>> {
    return listDevices(this.#database, query)
  }

  recentDevices(query: DeviceFilter & { limit: number }): Promise<readonly Device[]> {
    return recentDevices(this.#database, query)
  }

  async removeDevice(tenant: string, device: string): Promise<void> {
    const removed = await this.removeDevices([{ tenant, device }])
    if (removed.length === 0) throw notFound('device', deviceKey(tenant, device))
  }

  async removeDevices(devices: readonly DeviceName[]): Promise<readonly DeviceName[]> {
    const existing = await this.existingDevices(devices)
    if (existing.length === 0) return []
    const names = existing.map(nameOf)
    const work = (trx: Transaction<RegistrySchema>) => queries.deleteDevices(trx, this.#flavour, existing)
    const gone = new Set((await this.#changes.apply(names, work, true)).map(nameOf))
    await this.names.known()
    return existing.filter((device) => gone.has(nameOf(device)))
  }

  renameDevice(name: DeviceName, to: string): Promise<void> {
    return renameDevice(this.#parts, name, to)
  }

  admitDevice(application: string, device: DeviceName): Promise<Admission> {
    return admitDevice(this.#parts, application, device)
  }

  async existingDevices(devices: readonly DeviceName[]): Promise<readonly DeviceName[]> {
    const named = devices.filter(({ tenant, device }) => isName(tenant) && isDeviceName(device))
    return this.#database.run((db) => queries.existingOf(db, named))
  }

  createApplication(name: string, rules: readonly AclRule[], made?: MakesDevices): Promise<NewCredentials> {
    return createApplication(this.#parts, name, rules, made?.createsDevices === true)
  }

  async getApplication(name: string): Promise<Application | undefined> {
    if (!isName(name)) return undefined
    return (await this.#database.run((db) => queries.findApplications(db, name)))[0]
  }

  async listApplications(): Promise<readonly Application[]> {
    return this.#database.run((db) => queries.findApplications(db))
  }

  async setRules(name: string, rules: readonly AclRule[], made: MakesDevices = {}): Promise<void> {
    if (!isName(name)) throw notFound('application', name)
    checkRules(rules)
    this.#database.checkRoom()
    const replace = (trx: Transaction<RegistrySchema>) => queries.replaceRules(trx, name, rules, made.createsDevices)
    await changeApplication(this.#parts, name, replace)
  }

  async removeApplication(name: string): Promise<void> {
    if (!isName(name)) throw notFound('application', name)
    await changeApplication(this.#parts, name, (trx) => queries.deleteApplication(trx, name), true)
  }

  async verifySecret(username: string, secret: string): Promise<Principal | undefined> {
    return this.#verifier.bySecret(username, secret)
  }

  async verifyToken(token: string): Promise<Principal | undefined> {
    return this.#verifier.byToken(token)
  }

  async applicationPrincipal(name: string): Promise<Principal | undefined> {
    return isName(name) ? this.principalNamed(name) : undefined
  }

  principalNamed(name: string): Promise<Principal | undefined> {
    return this.#database.run((db) => logins.existingPrincipal(db, name))
  }

  onChange(listener: ChangeListener): () => void {
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

  async readState(tenant: string, uid: string): Promise<readonly StreamState[]> {
    return this.#database.run((db) => stateQueries.statesOfDevice(db, tenant, uid))
  }

  async readStreams(streams: readonly TelemetryTopic[]): Promise<readonly (StreamState | undefined)[]> {
    return this.#database.run((db) => stateQueries.statesOfStreams(db, streams))
  }

  async writeState(rows: readonly StreamState[]): Promise<void> {
    if (rows.length > 0) await this.#database.run((db) => stateQueries.writeStates(db, this.#flavour, rows))
  }

  async audit(...entries: readonly AuditEntry[]): Promise<void> {
    await this.#database.run((db) => insertAudit(db, entries))
  }

  async listAudit(query: { before?: number; limit: number }): Promise<readonly AuditRecord[]> {
    return this.#database.run((db) => newestAudit(db, query))
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    const { names, policies, declaredTypes, watches } = this
    await Promise.all([this.#uses, names, policies, declaredTypes, watches].map((part) => part.close()))
    await Promise.all([this.#database.close(), this.#changes.close()])
  }
}
