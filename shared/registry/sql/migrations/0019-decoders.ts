import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

/** Every uploaded decoder that ever was: rows are never changed or deleted, because records of the log name them. */
export function decodersMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema
        .createTable('decoders')
        .addColumn('scope', 'varchar(64)', (column) => column.notNull())
        .addColumn('name', 'varchar(100)', (column) => column.notNull())
        .addColumn('revision', 'integer', (column) => column.notNull())
        .addColumn('id', 'varchar(64)', (column) => column.notNull())
        .addColumn('kind', 'varchar(16)', (column) => column.notNull())
        .addColumn('content', flavour.longText, (column) => column.notNull())
        .addColumn('bytes', 'integer', (column) => column.notNull())
        .addColumn('sha256', 'varchar(64)', (column) => column.notNull())
        .addColumn('options', flavour.longText, (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addColumn('who', 'varchar(256)', (column) => column.notNull())
        .addPrimaryKeyConstraint('decoders_key', ['scope', 'name', 'revision'])
      await makeTable(flavour, table)
      await schema.createIndex('decoders_by_id').ifNotExists().on('decoders').column('id').execute()
    },
  }
}
