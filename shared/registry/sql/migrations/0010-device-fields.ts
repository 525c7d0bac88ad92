import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

/** Which fields the streams of devices have had, and limits by when they acted last. */
export function deviceFieldsMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema
        .createTable('device_fields')
        .addColumn('tenant', 'varchar(64)', (column) => column.notNull())
        .addColumn('device', 'varchar(128)', (column) => column.notNull())
        .addColumn('stream', 'varchar(128)', (column) => column.notNull())
        .addColumn('marks', flavour.longText, (column) => column.notNull())
        .addColumn('fields', 'integer', (column) => column.notNull())
        .addPrimaryKeyConstraint('device_fields_key', ['tenant', 'device', 'stream'])
      await makeTable(flavour, table)
      const index = schema.createIndex('device_limits_by_code').ifNotExists().on('device_limits')
      await index.columns(['code', 'last_ms']).execute()
    },
  }
}
