import { DatabaseSync } from 'node:sqlite'
import type { SQLInputValue } from 'node:sqlite'
import { resultCodeOf } from '../../storage/storage-fault.ts'
import type { Row } from './rows.ts'

/** The key of each table. */
const KEYS = {
  session: ['client_id'],
  subscription: ['client_id', 'filter'],
  queue: ['client_id', 'number'],
  incoming: ['client_id', 'message_id'],
  in_log: ['client_id', 'message_id'],
  shared: ['client_id', 'number'],
  retained: ['topic'],
  will: ['client_id'],
} as const

/**
 * Copies what can be read of a damaged file into a new one: of each table the rows up to the damage, from both ends.
 * Returns how many there were.
 */
export function salvage(into: DatabaseSync, file: string): number {
  let rows = 0
  into.exec('BEGIN IMMEDIATE')
  for (const [table, key] of Object.entries(KEYS)) {
    const columns = columnsOf(into, table)
    for (const order of ['ASC', 'DESC']) {
      // By place, keys first: a bit may have flipped in the name of a column, too.
      const by = key.map((_, index) => `${index + 1} ${order}`).join(', ')
      for (const row of readable(file, `SELECT * FROM ${table} ORDER BY ${by}`)) {
        // As they were read; an older file has fewer.
        const values = (Object.values(row) as SQLInputValue[]).slice(0, columns.length)
        const names = columns.slice(0, values.length).join(', ')
        const places = values.map(() => '?').join(', ')
        const insert = into.prepare(`INSERT OR IGNORE INTO ${table} (${names}) VALUES (${places})`)
        rows += Number(insert.run(...values).changes)
      }
    }
  }
  into.exec('COMMIT')
  return rows
}

function columnsOf(db: DatabaseSync, table: string): string[] {
  return db
    .prepare(`PRAGMA table_info(${table})`)
    .all()
    .map(({ name }) => String(name))
}

/** The rows up to the first that cannot be read. The file stays as it is. */
function* readable(file: string, sql: string): Generator<Row> {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(file, { readOnly: true })
    yield* db.prepare(sql).iterate()
  } catch (error) {
    if (resultCodeOf(error) === undefined) throw error
  } finally {
    db?.close()
  }
}
