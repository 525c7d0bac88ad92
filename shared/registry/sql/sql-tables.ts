import type { ExpressionBuilder, Kysely, SqlBool, Expression } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { deviceKey } from '../../topics.ts'
import { ChangeFeed } from './change-feed.ts'
import { credentialHashes } from '../credentials.ts'
import { DECODERS_CHANGED } from './decoder-store.ts'
import { TYPES_CHANGED } from './declared-type-store.ts'
import { SqlFacts } from './fact-store.ts'
import type { SqlFlavour } from './sql-flavour.ts'
import type { RegistryTables, TableRow } from '../tables-port.ts'
import { POLICIES_CHANGED } from './policy-store.ts'
import { prepareRegistry } from './prepare.ts'
import { chunks } from './queries-rows.ts'
import { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlRegistryOptions } from './sql-options.ts'

/**
 * Tables that move with a registry, and their keys: first what others name. Every other table of the schema is named in
 * {@link STAYING_TABLES}; a test compares both with the database.
 */
const MOVING_TABLES = {
  tenants: ['tenant'],
  device_identities: ['tenant', 'uid'],
  devices: ['tenant', 'device'],
  device_names: ['tenant', 'name'],
  applications: ['application'],
  acl_rules: ['application', 'position'],
  claim_keys: ['id'],
  login_states: ['name'],
  credential_pairs: ['credential'],
  credentials: ['hash'],
  imported_passwords: ['username'],
  api_keys: ['name'],
  field_types: ['tenant', 'stream', 'field'],
  declared_types: ['tenant', 'stream', 'field', 'since_ms'],
  device_state: ['tenant', 'device', 'stream'],
  decoders: ['scope', 'name', 'revision'],
  policies: ['scope', 'revision'],
  tombstones: ['id'],
} as const satisfies Partial<Record<keyof RegistrySchema, readonly string[]>>

/**
 * Facts of one database: its key's fingerprint, which login changed last, who is connected, what devices have made up, who
 * stamps, what is being done, what was done about letters of its log, who did what.
 */
export const STAYING_TABLES: readonly (keyof RegistrySchema)[] = [
  'registry_facts',
  'registry_revision',
  'registry_changes',
  'registry_endings',
  'device_presence',
  'device_limits',
  'device_fields',
  'stamp_slots',
  'jobs',
  'letter_notes',
  'audit_log',
]

type MovingTable = keyof typeof MOVING_TABLES

/** Keys in one WHERE: SQLite takes an expression of depth 1,000. */
const KEYS_PER_QUERY = 200

/** The tables as kysely sees them when it knows none of their columns. */
type AnyTables = Record<string, Record<string, string | number | null>>
type Build = ExpressionBuilder<AnyTables, string>

/**
 * The tables of a registry on a database that kysely speaks to; owns `db` once it is returned. Errors: those of
 * `openSqlRegistry`.
 */
export async function openSqlTables(options: SqlRegistryOptions): Promise<RegistryTables> {
  const { db, flavour, credentialKey, logger } = options
  await prepareRegistry(options, credentialHashes(credentialKey).keyId)
  const database = new RegistryDatabase(db, flavour)
  return new SqlTables(database, await ChangeFeed.start(database, logger), flavour)
}

class SqlTables implements RegistryTables {
  readonly names = Object.keys(MOVING_TABLES)
  readonly facts: SqlFacts
  readonly #database: RegistryDatabase
  readonly #changes: ChangeFeed
  readonly #flavour: SqlFlavour

  constructor(database: RegistryDatabase, changes: ChangeFeed, flavour: SqlFlavour) {
    this.facts = new SqlFacts(database, flavour)
    this.#database = database
    this.#changes = changes
    this.#flavour = flavour
  }

  async page(
    table: string,
    page: { readonly after?: TableRow | undefined; readonly limit: number },
  ): Promise<TableRow[]> {
    const key = keyOf(table)
    const { after, limit } = page
    return this.#database.run(async (db) => {
      let query = untyped(db).selectFrom(table).selectAll().limit(limit)
      for (const column of key) query = query.orderBy(column)
      if (after !== undefined) query = query.where((build) => isBehind(build, key, after))
      return query.execute()
    })
  }

  async find(table: string, rows: readonly TableRow[]): Promise<(TableRow | undefined)[]> {
    const key = keyOf(table)
    const found = new Map<string, TableRow>()
    for (const part of chunks(rows, KEYS_PER_QUERY)) {
      const same = await this.#database.run((db) => {
        const query = untyped(db).selectFrom(table).selectAll()
        return query.where((build) => build.or(part.map((row) => hasKey(build, key, row)))).execute()
      })
      for (const row of same) found.set(keyText(key, row), row)
    }
    return rows.map((row) => found.get(keyText(key, row)))
  }

  async insert(table: string, rows: readonly TableRow[]): Promise<void> {
    const name = movingTable(table)
    const logins = [...new Set(rows.flatMap((row) => loginOf(name, row)))]
    await this.#database.run((db) =>
      this.#changes.change(db, logins, async (trx) => {
        for (const part of chunks(rows, KEYS_PER_QUERY)) {
          // The rows are those of the same table of the same version: what kysely cannot know of a name at run time.
          await this.#flavour.insertIfAbsent(trx.insertInto(name).values(part as never)).execute()
        }
      }),
    )
  }

  async close(): Promise<void> {
    const database = this.#database.close()
    await this.#changes.close()
    await database
  }
}

function untyped(db: Kysely<RegistrySchema>): Kysely<AnyTables> {
  return db as unknown as Kysely<AnyTables> // every column is text or a number
}

function movingTable(table: string): MovingTable {
  if (!Object.hasOwn(MOVING_TABLES, table)) throw new SluiceError('internal', `table ${table} does not move`)
  return table as MovingTable // one of its keys
}

function keyOf(table: string): readonly string[] {
  return MOVING_TABLES[movingTable(table)]
}

function hasKey(build: Build, key: readonly string[], row: TableRow): Expression<SqlBool> {
  return build.and(key.map((column) => build(column, '=', valueOf(row, column))))
}

/** Not a comparison of rows, `(a, b) > (?, ?)`: MariaDB reads a range of the key for this one only. */
function isBehind(build: Build, key: readonly string[], row: TableRow): Expression<SqlBool> {
  return build.or(
    key.map((column, depth) =>
      build.and([hasKey(build, key.slice(0, depth), row), build(column, '>', valueOf(row, column))]),
    ),
  )
}

function valueOf(row: TableRow, column: string): string | number {
  const value = row[column]
  if (value === undefined || value === null) throw new SluiceError('internal', `a row without ${column}`)
  return value
}

function keyText(key: readonly string[], row: TableRow): string {
  return JSON.stringify(key.map((column) => row[column]))
}

/** Whose login a row is about: of a device, an application, or the owner of a credential; or that it is of a policy or a type. */
function loginOf(table: MovingTable, { name, principal, application, tenant, device }: TableRow): string[] {
  if (table === 'device_names' && typeof tenant === 'string') return [deviceKey(tenant, String(name))]
  if (table === 'policies') return [POLICIES_CHANGED]
  if (table === 'decoders') return [DECODERS_CHANGED]
  if (table === 'declared_types') return [TYPES_CHANGED]
  if (table === 'login_states' && typeof name === 'string') return [name]
  if (typeof principal === 'string') return [principal]
  if (typeof application === 'string') return [application]
  return typeof tenant === 'string' && typeof device === 'string' ? [deviceKey(tenant, device)] : []
}
