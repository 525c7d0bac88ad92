import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlFlavour } from '../sql-flavour.ts'

/**
 * Which log the position of a latest state is of. Rows from before have none: whatever comes replaces them. A process
 * of the version before writes on without it, and leaves it as it is.
 */
export function logIdentityMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema.alterTable('device_state')
      await table
        .addColumn('log_id', 'varchar(64)', (column) => {
          const added = column.notNull().defaultTo('')
          // MariaDB keeps what a migration did that was killed half way, and SQLite does not know the words.
          return flavour.isShared ? added.ifNotExists() : added
        })
        .execute()
    },
  }
}
