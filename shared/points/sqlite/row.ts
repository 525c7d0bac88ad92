import type { SQLOutputValue, StatementSync } from 'node:sqlite'

type Row = Record<string, SQLOutputValue>

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
export function one(statement: StatementSync): Row {
  const row = statement.get()
  if (row === undefined) throw new RangeError('a row is missing')
  return row
}
