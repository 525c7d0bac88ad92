import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

/** What was done about dead letters, by their ids. */
export function letterNotesMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema
        .createTable('letter_notes')
        .addColumn('id', 'varchar(128)', (column) => column.primaryKey().notNull())
        .addColumn('state', 'varchar(16)', (column) => column.notNull())
        .addColumn('tries', 'integer', (column) => column.notNull())
        .addColumn('job', 'integer', (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addColumn('who', 'varchar(256)', (column) => column.notNull())
      await makeTable(flavour, table)
      await schema.createIndex('letter_notes_by_time').ifNotExists().on('letter_notes').column('at_ms').execute()
    },
  }
}
