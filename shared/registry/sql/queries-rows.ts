import { SluiceError } from '../../errors.ts'
import type { Insertable, Kysely } from 'kysely'
import type { RegistrySchema } from './schema.ts'

/** Rows per INSERT and names per IN: below every database's limit of parameters. */
const CHUNK = 500

export function* chunks<T>(items: readonly T[], size = CHUNK): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}

export async function insertAll<T extends keyof RegistrySchema>(
  db: Kysely<RegistrySchema>,
  table: T,
  rows: readonly Insertable<RegistrySchema[T]>[],
): Promise<void> {
  for (const chunk of chunks(rows)) await db.insertInto(table).values(chunk).execute()
}

/** Error: `bad_request`. */
export function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1000) return
  throw new SluiceError('bad_request', 'limit is not a whole number from 1 to 1000')
}
