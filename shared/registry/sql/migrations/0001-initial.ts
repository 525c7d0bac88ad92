import { sql, type CreateTableBuilder, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlFlavour } from '../sql-flavour.ts'

// A tenant, device, stream or application name has at most 64 characters; `{tenant}/{device}` has 129.
const NAME = 'varchar(64)'
const PRINCIPAL = 'varchar(129)'
const HASH = 'varchar(64)'
const KIND = 'varchar(16)'

/** The tables as they were first. A migration is never changed once released: the next one changes what it made. */
export function initialMigration(flavour: SqlFlavour): Migration {
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      const create = async (table: CreateTableBuilder<string, string>): Promise<void> => {
        const { tableOptions } = flavour
        // Where DDL has no transactions, a process that was killed half way left tables behind.
        const made = table.ifNotExists()
        await (tableOptions === undefined ? made : made.modifyEnd(tableOptions)).execute()
      }
      await createLogins(db, flavour, create)
      await createData(db, flavour, create)
      const index = db.schema.createIndex('credentials_by_principal').ifNotExists()
      await index.on('credentials').column('principal').execute()
    },
  }
}

type Create = (table: CreateTableBuilder<string, string>) => Promise<void>

async function createLogins({ schema }: Kysely<unknown>, flavour: SqlFlavour, create: Create): Promise<void> {
  await create(
    schema
      .createTable('registry_facts')
      .addColumn('name', NAME, (column) => column.primaryKey().notNull())
      .addColumn('value', 'varchar(255)', (column) => column.notNull()),
  )
  await create(
    schema
      .createTable('tenants')
      .addColumn('tenant', NAME, (column) => column.primaryKey().notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull()),
  )
  await create(
    schema
      .createTable('devices')
      .addColumn('tenant', NAME, (column) => column.notNull())
      .addColumn('device', NAME, (column) => column.notNull())
      .addColumn('tags', flavour.longText, (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('devices_key', ['tenant', 'device']),
  )
  await create(
    schema
      .createTable('applications')
      .addColumn('application', NAME, (column) => column.primaryKey().notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull()),
  )
  await create(
    schema
      .createTable('credentials')
      .addColumn('hash', HASH, (column) => column.primaryKey().notNull())
      .addColumn('kind', KIND, (column) => column.notNull())
      .addColumn('principal', PRINCIPAL, (column) => column.notNull())
      .addColumn('key_id', KIND, (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull()),
  )
  await create(
    schema
      .createTable('acl_rules')
      .addColumn('application', NAME, (column) => column.notNull())
      .addColumn('position', 'integer', (column) => column.notNull())
      .addColumn('effect', KIND, (column) => column.notNull())
      .addColumn('action', KIND, (column) => column.notNull())
      .addColumn('topic', 'varchar(512)', (column) => column.notNull())
      .addPrimaryKeyConstraint('acl_rules_key', ['application', 'position']),
  )
  await create(
    schema
      .createTable('api_keys')
      .addColumn('name', NAME, (column) => column.primaryKey().notNull())
      .addColumn('hash', HASH, (column) => column.notNull().unique())
      .addColumn('key_id', KIND, (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull()),
  )
}

async function createData({ schema }: Kysely<unknown>, flavour: SqlFlavour, create: Create): Promise<void> {
  await create(
    schema
      .createTable('device_state')
      .addColumn('tenant', NAME, (column) => column.notNull())
      .addColumn('device', NAME, (column) => column.notNull())
      .addColumn('stream', NAME, (column) => column.notNull())
      .addColumn('fields', flavour.longText, (column) => column.notNull())
      .addColumn('last_seen_ms', 'bigint', (column) => column.notNull())
      .addColumn('log_partition', 'integer', (column) => column.notNull())
      .addColumn('log_offset', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('device_state_key', ['tenant', 'device', 'stream']),
  )
  await create(
    schema
      .createTable('field_types')
      .addColumn('tenant', NAME, (column) => column.notNull())
      .addColumn('stream', NAME, (column) => column.notNull())
      .addColumn('field', 'varchar(256)', (column) => column.notNull())
      .addColumn('type', KIND, (column) => column.notNull())
      .addPrimaryKeyConstraint('field_types_key', ['tenant', 'stream', 'field']),
  )
  await create(
    schema
      .createTable('audit_log')
      .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement().notNull())
      .addColumn('at_ms', 'bigint', (column) => column.notNull())
      .addColumn('who', 'varchar(256)', (column) => column.notNull())
      .addColumn('action', NAME, (column) => column.notNull())
      .addColumn('subject', 'varchar(256)', (column) => column.notNull())
      .addColumn('detail', 'varchar(2000)', (column) => column.defaultTo(sql`null`)),
  )
}
