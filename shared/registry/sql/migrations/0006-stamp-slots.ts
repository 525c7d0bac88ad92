import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { RegistrySchema } from '../schema.ts'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

const SLOTS = 64

/** Which process has which slot of the receive stamps. All rows are there from the first: they are what is locked. */
export function stampSlotsMigration(flavour: SqlFlavour): Migration {
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      const table = db.schema
        .createTable('stamp_slots')
        .addColumn('slot', 'integer', (column) => column.primaryKey().notNull())
        .addColumn('holder', 'varchar(300)', (column) => column.notNull())
        .addColumn('lease', 'varchar(64)', (column) => column.notNull())
        .addColumn('claim', 'varchar(64)', (column) => column.notNull())
        .addColumn('claimed_ms', 'bigint', (column) => column.notNull())
        .addColumn('state', 'varchar(1000)', (column) => column.notNull())
        .addColumn('renewed_ms', 'bigint', (column) => column.notNull())
        .addColumn('given_back', 'integer', (column) => column.notNull())
      await makeTable(flavour, table)
      const unused = { holder: '', lease: '', claim: '', claimed_ms: 0, state: '', renewed_ms: 0, given_back: 0 }
      const rows = Array.from({ length: SLOTS }, (_, slot) => ({ slot, ...unused }))
      const typed = db as Kysely<RegistrySchema> // of the table made above
      await flavour.insertIfAbsent(typed.insertInto('stamp_slots').values(rows)).execute()
    },
  }
}
