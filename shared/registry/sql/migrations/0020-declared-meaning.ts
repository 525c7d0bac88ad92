import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlFlavour } from '../sql-flavour.ts'

/** Units, ranges and the like of fields. A process of the version before writes on without them: its rows are of the type alone. */
export function declaredMeaningMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      for (const column of ['meaning', 'sources']) {
        await schema
          .alterTable('declared_types')
          .addColumn(column, flavour.longText, (it) => (flavour.isShared ? it.ifNotExists() : it))
          .execute()
      }
    },
  }
}
