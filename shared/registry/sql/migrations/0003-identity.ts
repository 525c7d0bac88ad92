import { sql, type CreateTableBuilder, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

const NAME = 'varchar(64)'
const PRINCIPAL = 'varchar(129)'
const HASH = 'varchar(64)'
const KIND = 'varchar(16)'
const USERNAME = 'varchar(256)'
const ENCODED = 'varchar(255)'

/** Rotation, revocation, provisioning keys and imported passwords. */
export function identityMigration(flavour: SqlFlavour): Migration {
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      for (const table of newTables(db, flavour)) await makeTable(flavour, table)
      await addCredentialColumn(db)
      // What there was before becomes one credential for each login, by the login's name.
      await sql`update credentials set credential = principal where credential is null`.execute(db)
      await sql`
        insert into credential_pairs (credential, principal, username, created_ms, replaces)
        select c.principal, c.principal, c.principal, min(c.created_ms), 0 from credentials c
        where c.credential = c.principal
          and not exists (select 1 from credential_pairs p where p.credential = c.principal)
        group by c.principal`.execute(db)
      for (const [name, table, column] of INDEXES) {
        await db.schema.createIndex(name).ifNotExists().on(table).column(column).execute()
      }
    },
  }
}

const INDEXES = [
  ['credentials_by_credential', 'credentials', 'credential'],
  ['credential_pairs_by_principal', 'credential_pairs', 'principal'],
  ['credential_pairs_by_username', 'credential_pairs', 'username'],
  ['imported_passwords_by_principal', 'imported_passwords', 'principal'],
  ['registry_endings_by_revision', 'registry_endings', 'revision'],
] as const

/** Where DDL has no transactions, a process that was killed half way may have added it already. */
async function addCredentialColumn(db: Kysely<unknown>): Promise<void> {
  const tables = await db.introspection.getTables()
  const columns = tables.find(({ name }) => name === 'credentials')?.columns ?? []
  if (columns.some(({ name }) => name === 'credential')) return
  await db.schema.alterTable('credentials').addColumn('credential', PRINCIPAL).execute()
}

function newTables({ schema }: Kysely<unknown>, flavour: SqlFlavour): CreateTableBuilder<string, string>[] {
  return [
    schema
      .createTable('credential_pairs')
      .addColumn('credential', PRINCIPAL, (column) => column.primaryKey().notNull())
      .addColumn('principal', PRINCIPAL, (column) => column.notNull())
      .addColumn('username', USERNAME, (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .addColumn('expires_ms', 'bigint')
      .addColumn('first_used_ms', 'bigint')
      .addColumn('last_used_ms', 'bigint')
      .addColumn('replaces', 'integer', (column) => column.notNull())
      .addColumn('claim_key', KIND),
    schema
      .createTable('imported_passwords')
      .addColumn('username', USERNAME, (column) => column.primaryKey().notNull())
      .addColumn('principal', PRINCIPAL, (column) => column.notNull())
      .addColumn('kind', KIND, (column) => column.notNull())
      .addColumn('salt', ENCODED, (column) => column.notNull())
      .addColumn('hash', ENCODED, (column) => column.notNull())
      .addColumn('iterations', 'integer', (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .addColumn('expires_ms', 'bigint'),
    schema
      .createTable('login_states')
      .addColumn('name', PRINCIPAL, (column) => column.primaryKey().notNull())
      .addColumn('disabled', 'integer', (column) => column.notNull())
      .addColumn('ended_ms', 'bigint', (column) => column.notNull()),
    schema
      .createTable('claim_keys')
      .addColumn('id', KIND, (column) => column.primaryKey().notNull())
      .addColumn('hash', HASH, (column) => column.notNull().unique())
      .addColumn('key_id', KIND, (column) => column.notNull())
      .addColumn('tenant', NAME, (column) => column.notNull())
      .addColumn('tags', flavour.longText, (column) => column.notNull())
      .addColumn('max_uses', 'integer', (column) => column.notNull())
      .addColumn('uses', 'integer', (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .addColumn('expires_ms', 'bigint'),
    schema
      .createTable('registry_endings')
      .addColumn('name', PRINCIPAL, (column) => column.primaryKey().notNull())
      .addColumn('origin', NAME, (column) => column.notNull())
      .addColumn('revision', 'bigint', (column) => column.notNull()),
  ]
}
