import type { Facts } from '../facts-port.ts'
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
    return row?.value
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

  async #insert(name: string, value: string): Promise<void> {
    await this.#database.run((db) =>
      this.#flavour.insertIfAbsent(db.insertInto('registry_facts').values({ name, value })).execute(),
    )
  }
}
