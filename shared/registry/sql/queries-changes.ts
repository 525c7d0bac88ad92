import { sql, type Kysely, type Transaction } from 'kysely'
import { chunks } from './queries-rows.ts'
import type { RegistrySchema } from './schema.ts'

/** Which logins changed, numbered in the order of the commits: how processes that share a registry hear of each other. */

type Db = Kysely<RegistrySchema>

export type ChangeTable = 'registry_changes' | 'registry_endings'
export type Change = RegistrySchema[ChangeTable]

/** Changes read by one query. */
export const CHANGES_PER_READ = 500

/**
 * Notes that the logins of these names changed (`ended`: see `onChange`), as the last step of the transaction that changes them. The counter stays
 * locked until the commit, so numbers become visible in their order: a reader at revision n has missed nothing before n.
 */
export async function recordChanges(
  db: Transaction<RegistrySchema>,
  origin: string,
  names: readonly string[],
  ended: boolean,
): Promise<void> {
  const counter = db.updateTable('registry_revision').where('id', '=', 1)
  await counter.set((eb) => ({ revision: eb('revision', '+', sql.lit(names.length)) })).execute()
  const first = (await currentRevision(db)) - names.length + 1
  const rows = names.map((name, index) => ({ name, origin, revision: first + index }))
  for (const chunk of chunks(rows)) {
    await db.replaceInto('registry_changes').values(chunk).execute()
    if (ended) await db.replaceInto('registry_endings').values(chunk).execute()
  }
}

/** Number of the last change that was committed; 0 before the first. */
export async function currentRevision(db: Db): Promise<number> {
  const query = db.selectFrom('registry_revision').select('revision').where('id', '=', 1)
  return (await query.executeTakeFirstOrThrow()).revision
}

/** In the order of the commits, each name with its last change only; at most {@link CHANGES_PER_READ}. */
export async function changesSince(db: Db, table: ChangeTable, revision: number): Promise<Change[]> {
  const query = db.selectFrom(table).selectAll().where('revision', '>', revision)
  return query.orderBy('revision').limit(CHANGES_PER_READ).execute()
}
