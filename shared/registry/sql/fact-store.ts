import { sql } from 'kysely'
import type { FactChange, Facts } from '../facts-port.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { SqlFlavour } from './sql-flavour.ts'

export class SqlFacts implements Facts {
  readonly #database: RegistryDatabase
  readonly #flavour: SqlFlavour

  constructor(database: RegistryDatabase, flavour: SqlFlavour) {
    this.#database = database
    this.#flavour = flavour
  }

  async get(name: string): Promise<string | undefined> {
    const row = await this.#database.run((db) =>
      db.selectFrom('registry_facts').select('value').where('name', '=', name).executeTakeFirst(),
    )
    // The row of one that is only ever changed is made before it says something, so that it can be locked.
    return row === undefined || row.value === '' ? undefined : row.value
  }

  async keep(name: string, value: string): Promise<string> {
    const kept = await this.get(name)
    if (kept !== undefined) return kept
    await this.#insert(name, value)
    return (await this.get(name)) ?? value
  }

  async put(name: string, value: string): Promise<void> {
    await this.#insert(name, value)
    await this.#database.run((db) => db.updateTable('registry_facts').set({ value }).where('name', '=', name).execute())
  }

  async change<T>(name: string, change: FactChange<T>): Promise<T> {
    if ((await this.get(name)) === undefined) await this.#insert(name, '')
    const { isShared, nowMs } = this.#flavour
    return this.#database.run((db) =>
      db.transaction().execute(async (trx) => {
        const query = trx.selectFrom('registry_facts').select('value').where('name', '=', name)
        const row = await (isShared ? query.forUpdate() : query).executeTakeFirst()
        // Asked behind the lock, which may have been waited for.
        const now = await sql<{ now: number }>`select ${nowMs} as now`.execute(trx)
        const { say, result } = change(row?.value === '' ? undefined : row?.value, now.rows[0]?.now ?? 0)
        if (say !== undefined)
          await trx.updateTable('registry_facts').set({ value: say }).where('name', '=', name).execute()
        return result
      }),
    )
  }

  async #insert(name: string, value: string): Promise<void> {
    await this.#database.run((db) =>
      this.#flavour.insertIfAbsent(db.insertInto('registry_facts').values({ name, value })).execute(),
    )
  }
}
