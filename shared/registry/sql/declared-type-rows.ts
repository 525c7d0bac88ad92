import type { Transaction } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { storesAlike, type Declaration } from '../../types/declaration.ts'
import type { FieldMeaning } from '../../types/meaning.ts'
import { MAX_TYPE_CHANGES, type DeclaredField, type TypeChange } from '../types-port.ts'
import type { RegistrySchema } from './schema.ts'

export type TypeRow = RegistrySchema['declared_types']

/** Others hear of a change within about a second: what is received later than this is stored by those who know. */
const HEARD_MS = 5_000

/**
 * Writes down what holds of a field now, behind what was said last: as another change or, where values are stored as before,
 * in the place of that. Error: `bad_request` beyond {@link MAX_TYPE_CHANGES}.
 */
export async function writeDeclaration(
  trx: Transaction<RegistrySchema>,
  { tenant, stream, field }: DeclaredField,
  { last, next, who, isShared }: { last: TypeChange | undefined; next: Declaration; who: string; isShared: boolean },
): Promise<TypeChange> {
  const atMs = Date.now()
  const said = {
    type: next.meaning.type ?? 'float',
    who: who.slice(0, 256).toWellFormed(),
    at_ms: atMs,
    meaning: JSON.stringify(next.meaning),
    sources: JSON.stringify(next.sources),
  } as const
  if (last !== undefined && storesAlike(last.meaning, next.meaning)) {
    const own = trx.updateTable('declared_types').where('tenant', '=', tenant).where('stream', '=', stream)
    await own.where('field', '=', field).where('since_ms', '=', last.sinceMs).set(said).execute()
    return toChange({ tenant, stream, field, since_ms: last.sinceMs, ...said })
  }
  const { count } = await trx
    .selectFrom('declared_types')
    .select(({ fn }) => fn.countAll<number | bigint | string>().as('count'))
    .executeTakeFirstOrThrow()
  if (Number(count) >= MAX_TYPE_CHANGES) {
    throw new SluiceError('bad_request', `types were declared ${MAX_TYPE_CHANGES} times, which is the most`)
  }
  const since_ms = Math.max(atMs + (isShared ? HEARD_MS : 0), (last?.sinceMs ?? 0) + 1)
  const row: TypeRow = { tenant, stream, field, since_ms, ...said }
  await trx.insertInto('declared_types').values(row).execute()
  return toChange(row)
}

export function toChange({ since_ms: sinceMs, type, who, at_ms: atMs, meaning, sources }: TypeRow): TypeChange {
  const own = { sinceMs, type, who, atMs }
  // A process of before writes the type alone: nothing else was said, or it is taken back with it.
  const plain: FieldMeaning = type === 'integer' ? { type } : {}
  if (meaning === null || sources === null) {
    return { ...own, meaning: plain, sources: { set: plain, files: {}, by: type === 'integer' ? { type: who } : {} } }
  }
  return { ...own, ...(JSON.parse(`{"meaning":${meaning},"sources":${sources}}`) as Declaration) } // our own text
}
