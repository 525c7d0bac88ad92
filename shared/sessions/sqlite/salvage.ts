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
    for (const order of ['ASC', 'DESC']) {
      const by = key.map((column) => `${column} ${order}`).join(', ')
      for (const row of readable(file, `SELECT * FROM ${table} ORDER BY ${by}`)) {
        const columns = Object.keys(row)
        const places = columns.map(() => '?').join(', ')
        const insert = into.prepare(`INSERT OR IGNORE INTO ${table} (${columns.join(', ')}) VALUES (${places})`)
        // As they were read.
        rows += Number(insert.run(...(Object.values(row) as SQLInputValue[])).changes)
      }
    }
  }
  into.exec('COMMIT')
  return rows
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
