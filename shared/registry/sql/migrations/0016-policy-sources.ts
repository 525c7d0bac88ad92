import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlFlavour } from '../sql-flavour.ts'

/** What a policy was put together from. A process of the version before writes on without it: all of it is set then. */
export function policySourcesMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      const table = schema.alterTable('policies')
      await table
        .addColumn('sources', flavour.longText, (column) => (flavour.isShared ? column.ifNotExists() : column))
        .execute()
    },
  }
}
