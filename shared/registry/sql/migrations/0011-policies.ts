import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

/** Every policy that ever was: rows are never changed or deleted, because records of the log name them. */
export function policiesMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema
        .createTable('policies')
        .addColumn('scope', 'varchar(64)', (column) => column.notNull())
        .addColumn('revision', 'integer', (column) => column.notNull())
        .addColumn('id', 'varchar(64)', (column) => column.notNull())
        .addColumn('document', flavour.longText, (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addColumn('who', 'varchar(256)', (column) => column.notNull())
        .addPrimaryKeyConstraint('policies_key', ['scope', 'revision'])
      await makeTable(flavour, table)
      await schema.createIndex('policies_by_id').ifNotExists().on('policies').column('id').execute()
    },
  }
}
