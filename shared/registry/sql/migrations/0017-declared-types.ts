import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

/** Which fields have integers, and since when: rows are never changed, because messages are read again. */
export function declaredTypesMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema
        .createTable('declared_types')
        .addColumn('tenant', 'varchar(64)', (column) => column.notNull())
        .addColumn('stream', 'varchar(128)', (column) => column.notNull())
        .addColumn('field', flavour.longestName ?? 'text', (column) => column.notNull())
        .addColumn('since_ms', 'bigint', (column) => column.notNull())
        .addColumn('type', 'varchar(16)', (column) => column.notNull())
        .addColumn('who', 'varchar(256)', (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('declared_types_key', ['tenant', 'stream', 'field', 'since_ms'])
      await makeTable(flavour, table)
    },
  }
}
