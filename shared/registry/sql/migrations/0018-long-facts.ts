import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlFlavour } from '../sql-flavour.ts'

/** Facts may be documents that processes change in turns. SQLite keeps texts of any length in any column. */
export function longFactsMigration({ isShared, longText }: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      if (!isShared) return
      const table = schema.alterTable('registry_facts')
      await table.modifyColumn('value', longText, (column) => column.notNull()).execute()
    },
  }
}
