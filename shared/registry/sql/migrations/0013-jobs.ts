import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

/** Jobs, and what was deleted: a tombstone for each span of which nothing is stored again. */
export function jobsMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const tables = [
        schema
          .createTable('jobs')
          .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
          .addColumn('kind', 'varchar(64)', (column) => column.notNull())
          .addColumn('spec', flavour.longText, (column) => column.notNull())
          .addColumn('position', flavour.longText)
          .addColumn('state', 'varchar(16)', (column) => column.notNull())
          .addColumn('counts', flavour.longText, (column) => column.notNull())
          .addColumn('progress', 'varchar(1000)', (column) => column.notNull())
          .addColumn('who', 'varchar(256)', (column) => column.notNull())
          .addColumn('created_ms', 'bigint', (column) => column.notNull())
          .addColumn('ended_ms', 'bigint')
          .addColumn('owner', 'varchar(64)', (column) => column.notNull())
          .addColumn('lease_ms', 'bigint', (column) => column.notNull())
          .addColumn('cancel_asked', 'integer', (column) => column.notNull()),
        schema
          .createTable('tombstones')
          .addColumn('id', 'varchar(64)', (column) => column.primaryKey().notNull())
          .addColumn('tenant', 'varchar(64)', (column) => column.notNull())
          .addColumn('uid', 'varchar(128)', (column) => column.notNull())
          .addColumn('stream', 'varchar(128)')
          .addColumn('from_ms', 'bigint', (column) => column.notNull())
          .addColumn('from_ns', 'integer', (column) => column.notNull())
          .addColumn('to_ms', 'bigint', (column) => column.notNull())
          .addColumn('to_ns', 'integer', (column) => column.notNull())
          .addColumn('received_ms', 'bigint'),
      ]
      for (const table of tables) await makeTable(flavour, table)
      const index = schema.createIndex('jobs_by_state').ifNotExists().on('jobs')
      await index.columns(['state', 'id']).execute()
    },
  }
}
