import { crc32 } from 'node:zlib'

/** A row as `node:sqlite` gives it. */
export type Row = Record<string, unknown>

/** A column that is a number, or null. */
export function optionalNumber(row: Row, column: string): number | undefined {
  const value = row[column]
  return value === null || value === undefined ? undefined : Number(value)
}

/** The bytes of a row, or undefined when they are not those that were stored: pages of SQLite have no checksum. */
export function checkedBytes(row: Row): Uint8Array | undefined {
  const bytes = row['message']
  return bytes instanceof Uint8Array && crc32(bytes) === row['crc'] ? bytes : undefined
}

/** The first text behind all that begin with the prefix. */
export function behind(prefix: string): string {
  return `${prefix}\u{10FFFF}`
}
