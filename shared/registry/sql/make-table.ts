import type { CreateTableBuilder } from 'kysely'
import type { SqlFlavour } from './sql-flavour.ts'

/** Makes the table of a migration as the engine wants it. One that is there stays: a migration may have been killed. */
export async function makeTable<Table extends string, Column extends string>(
  { tableOptions }: Pick<SqlFlavour, 'tableOptions'>,
  table: CreateTableBuilder<Table, Column>,
): Promise<void> {
  const made = table.ifNotExists()
  await (tableOptions === undefined ? made : made.modifyEnd(tableOptions)).execute()
}
