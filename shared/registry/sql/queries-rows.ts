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
