import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import { isDamage } from './damage.ts'

export type Row = Record<string, SQLOutputValue>

/** A whole number of a row; the schema says that it is one. */
export function int(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw new RangeError(`${column} is not a number`)
  return value
}

export function optionalInt(row: Row, column: string): number | undefined {
  return row[column] === null ? undefined : int(row, column)
}

export function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new RangeError(`${column} is not text`)
  return value
}

export function blob(row: Row, column: string): Uint8Array<ArrayBuffer> {
  const value = row[column]
  if (!(value instanceof Uint8Array) || !(value.buffer instanceof ArrayBuffer))
    throw new RangeError(`${column} is not a blob`)
  return value
}

/** The one row of a query that always has one. */
export function one(statement: StatementSync, ...values: number[]): Row {
  const row = statement.get(...values)
  if (row === undefined) throw new RangeError('a row is missing')
  return row
}

/** All rows of a query on a file that may be damaged; undefined when SQLite cannot read them to their end. */
export function readTable(file: string, sql: string): Row[] | undefined {
  const db = new DatabaseSync(file, { timeout: 0 })
  try {
    return db.prepare(sql).all()
  } catch (error) {
    if (isDamage(error)) return undefined
    throw error
  } finally {
    db.close()
  }
}

/** A value found in a page as SQLite would give it. */
export function toValue(value: number | string | null | Buffer | undefined): SQLOutputValue {
  return value instanceof Uint8Array ? new Uint8Array(value) : (value ?? null)
}
