import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

/** Names of devices that are stored under something else. */
export function deviceNamesMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema
        .createTable('device_names')
        .addColumn('tenant', 'varchar(64)', (column) => column.notNull())
        .addColumn('name', 'varchar(128)', (column) => column.notNull())
        .addColumn('uid', 'varchar(128)', (column) => column.notNull())
        .addColumn('is_former', 'integer', (column) => column.notNull())
        .addPrimaryKeyConstraint('device_names_key', ['tenant', 'name'])
      await makeTable(flavour, table)
      const index = schema.createIndex('device_names_by_uid').ifNotExists().on('device_names')
      await index.columns(['tenant', 'uid']).execute()
    },
  }
}
