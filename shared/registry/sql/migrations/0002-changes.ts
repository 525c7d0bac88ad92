import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlFlavour } from '../sql-flavour.ts'
import type { RegistrySchema } from '../schema.ts'

/** What processes that share a registry tell each other: which logins changed, in the order of the commits. */
export function changesMigration(flavour: SqlFlavour): Migration {
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      const counter = db.schema
        .createTable('registry_revision')
        .ifNotExists()
        .addColumn('id', 'integer', (column) => column.primaryKey().notNull())
        .addColumn('revision', 'bigint', (column) => column.notNull())
      const changes = db.schema
        .createTable('registry_changes')
        .ifNotExists()
        .addColumn('name', 'varchar(129)', (column) => column.primaryKey().notNull())
        .addColumn('origin', 'varchar(64)', (column) => column.notNull())
        .addColumn('revision', 'bigint', (column) => column.notNull())
      const { tableOptions } = flavour
      for (const table of [counter, changes]) {
        await (tableOptions === undefined ? table : table.modifyEnd(tableOptions)).execute()
      }
      const index = db.schema.createIndex('registry_changes_by_revision').ifNotExists()
      await index.on('registry_changes').column('revision').execute()
      const typed = db as Kysely<RegistrySchema> // of the table made above
      await flavour.insertIfAbsent(typed.insertInto('registry_revision').values({ id: 1, revision: 0 })).execute()
    },
  }
}
