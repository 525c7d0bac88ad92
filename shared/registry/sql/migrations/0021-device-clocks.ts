import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlFlavour } from '../sql-flavour.ts'

/** What is known of the clocks of devices. A process of the version before writes on without it, and leaves it as it is. */
export function deviceClocksMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema.alterTable('device_state')
      await table
        .addColumn('clock', flavour.longText, (column) => (flavour.isShared ? column.ifNotExists() : column))
        .execute()
    },
  }
}
