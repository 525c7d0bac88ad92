import { sql } from 'kysely'
import { MAX_LETTER_NOTES, type LetterNote, type LetterNotes } from '../letters-port.ts'
import { chunks } from './queries-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'

/** Rows in a statement. */
const ROWS = 200

export class SqlLetterNotes implements LetterNotes {
  readonly #database: RegistryDatabase

  constructor(database: RegistryDatabase) {
    this.#database = database
  }

  async of(ids: readonly string[]): Promise<ReadonlyMap<string, LetterNote>> {
    const found = new Map<string, LetterNote>()
    for (const part of chunks(ids, ROWS)) {
      const rows = await this.#database.run((db) => {
        return db.selectFrom('letter_notes').selectAll().where('id', 'in', part).execute()
      })
      for (const { at_ms: atMs, ...note } of rows) found.set(note.id, { ...note, atMs })
    }
    return found
  }

  async put(notes: readonly LetterNote[]): Promise<void> {
    if (notes.length === 0) return
    this.#database.checkRoom()
    await this.#database.run((db) =>
      db.transaction().execute(async (trx) => {
        for (const part of chunks(notes, ROWS)) {
          const ids = part.map(({ id }) => id)
          await trx.deleteFrom('letter_notes').where('id', 'in', ids).execute()
          const rows = part.map(({ atMs, who, ...note }) => {
            return { ...note, at_ms: atMs, who: who.slice(0, 256).toWellFormed() }
          })
          await trx.insertInto('letter_notes').values(rows).execute()
        }
      }),
    )
  }

  async trim(keep = MAX_LETTER_NOTES): Promise<void> {
    await this.#database.run(async (db) => {
      const newest = db.selectFrom('letter_notes').select('at_ms').orderBy('at_ms', 'desc')
      // MariaDB takes no text there, as which numbers are bound.
      const first = await newest.offset(sql.lit(keep)).limit(1).executeTakeFirst()
      if (first === undefined) return
      await db.deleteFrom('letter_notes').where('at_ms', '<=', first.at_ms).execute()
    })
  }
}
