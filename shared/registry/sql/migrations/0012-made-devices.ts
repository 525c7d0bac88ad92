import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlFlavour } from '../sql-flavour.ts'

/** Whether an application makes the devices that it publishes for, and how many it made in the hour that runs. */
export function madeDevicesMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      // One column each: SQLite adds no two at once.
      for (const column of ['creates_devices', 'made_since_ms', 'made']) {
        const table = schema.alterTable('applications')
        await table
          .addColumn(column, 'bigint', (made) => {
            const added = made.notNull().defaultTo(0)
            return flavour.isShared ? added.ifNotExists() : added
          })
          .execute()
      }
    },
  }
}
