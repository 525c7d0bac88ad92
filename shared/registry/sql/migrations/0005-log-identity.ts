import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/**
 * Which log the position of a latest state is of. Rows from before have none: whatever comes replaces them. A process
 * of the version before writes on without it, and leaves it as it is.
 */
export function logIdentityMigration(): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema.alterTable('device_state')
      await table.addColumn('log_id', 'varchar(64)', (column) => column.notNull().defaultTo('')).execute()
    },
  }
}
