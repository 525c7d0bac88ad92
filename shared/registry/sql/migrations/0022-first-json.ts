import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlFlavour } from '../sql-flavour.ts'

/** Where a stream first carried JSON. A process of the version before writes on without it, and leaves it as it is. */
export function firstJsonMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema.alterTable('device_state')
      await table
        .addColumn('first_json', 'varchar(255)', (column) => (flavour.isShared ? column.ifNotExists() : column))
        .execute()
    },
  }
}
