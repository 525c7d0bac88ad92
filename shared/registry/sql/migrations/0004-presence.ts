import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

const NAME = 'varchar(64)'
const CLIENT = 'varchar(256)'

/** Which devices are connected, and which limits act on them. */
export function presenceMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const tables = [
        schema
          .createTable('device_presence')
          .addColumn('tenant', NAME, (column) => column.notNull())
          .addColumn('device', NAME, (column) => column.notNull())
          .addColumn('client_id', CLIENT, (column) => column.notNull())
          .addColumn('epoch', 'bigint', (column) => column.notNull())
          .addColumn('connected', 'integer', (column) => column.notNull())
          .addColumn('node', NAME, (column) => column.notNull())
          .addColumn('since_ms', 'bigint', (column) => column.notNull())
          .addColumn('address', NAME, (column) => column.notNull())
          .addColumn('reason', NAME)
          .addPrimaryKeyConstraint('device_presence_key', ['tenant', 'device', 'client_id']),
        schema
          .createTable('device_limits')
          .addColumn('tenant', NAME, (column) => column.notNull())
          .addColumn('device', NAME, (column) => column.notNull())
          .addColumn('code', NAME, (column) => column.notNull())
          .addColumn('limit_value', 'bigint', (column) => column.notNull())
          .addColumn('since_ms', 'bigint', (column) => column.notNull())
          .addColumn('last_ms', 'bigint', (column) => column.notNull())
          .addColumn('hits', 'bigint', (column) => column.notNull())
          .addPrimaryKeyConstraint('device_limits_key', ['tenant', 'device', 'code']),
      ]
      for (const table of tables) await makeTable(flavour, table)
      const index = schema.createIndex('device_presence_by_node').ifNotExists().on('device_presence')
      await index.columns(['node', 'connected']).execute()
    },
  }
}
