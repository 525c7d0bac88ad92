import { type Kysely, type Transaction } from 'kysely'
import type { Logger } from '../../process/logger.ts'
import { fieldKey } from '../../topics.ts'
import { afterChange, afterContracts, NOTHING } from '../../types/declaration.ts'
import type { MeaningChange } from '../../types/meaning.ts'
import {
  checkField,
  type DeclaredField,
  type DeclaredType,
  type DeclaredTypes,
  type FieldContract,
  type TypeChange,
} from '../types-port.ts'
import type { ChangeFeed } from './change-feed.ts'
import { toChange, writeDeclaration } from './declared-type-rows.ts'
import { KnownRows } from './known-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

/** What the change feed is told when a type was declared: no login has such a name. */
export const TYPES_CHANGED = '\u001etypes'
const NONE: readonly never[] = []

interface Parts {
  readonly database: RegistryDatabase
  readonly changes: ChangeFeed
  readonly logger: Logger
}

/** Declared types in the registry, all of them in memory, too. */
export class SqlDeclaredTypes implements DeclaredTypes {
  readonly #parts: Parts
  readonly #rows: KnownRows
  #fields: ReadonlyMap<string, DeclaredType> = new Map()
  /** By {@link streamOf}. */
  #required: ReadonlyMap<string, readonly DeclaredType[]> = new Map()
  epoch = 0

  private constructor(parts: Parts) {
    this.#parts = parts
    const isNews = (name: string) => name === TYPES_CHANGED
    const read = () => this.#readAll()
    this.#rows = new KnownRows({ ...parts, isNews, what: 'types of fields', read })
  }

  static async open(parts: Parts): Promise<SqlDeclaredTypes> {
    const types = new SqlDeclaredTypes(parts)
    await types.#readAll()
    return types
  }

  of(field: DeclaredField): readonly TypeChange[] {
    return this.#fields.size === 0 ? NONE : (this.#fields.get(fieldKey(field))?.changes ?? NONE)
  }

  get areSomeRequired(): boolean {
    return this.#required.size > 0
  }

  requiredIn(stream: Pick<DeclaredField, 'tenant' | 'stream'>): readonly DeclaredType[] {
    return this.#required.get(streamOf(stream)) ?? NONE
  }

  known(): Promise<void> {
    return this.#rows.known()
  }

  async list(tenant?: string): Promise<readonly DeclaredType[]> {
    const all = await this.#parts.database.run(selectAll)
    return [...all.values()].filter((one) => tenant === undefined || one.tenant === tenant)
  }

  async declare(field: DeclaredField, change: MeaningChange, who: string): Promise<TypeChange> {
    const { database, changes } = this.#parts
    checkField(field)
    database.checkRoom()
    const { isShared } = database
    const said = await changes.apply([TYPES_CHANGED], async (trx) => {
      await this.#lock(trx)
      const own = trx.selectFrom('declared_types').selectAll().where('tenant', '=', field.tenant)
      const query = own.where('stream', '=', field.stream).where('field', '=', field.field)
      const row = await query.orderBy('since_ms', 'desc').limit(1).executeTakeFirst()
      const last = row === undefined ? undefined : toChange(row)
      const next = afterChange(last, change, who)
      if (last !== undefined && next === undefined) return last
      return writeDeclaration(trx, field, { last, next: next ?? NOTHING, who, isShared })
    })
    await this.known()
    return said
  }

  async overlay(contracts: readonly FieldContract[]): Promise<readonly DeclaredField[]> {
    const { database, changes } = this.#parts
    for (const one of contracts) checkField(one)
    const { isShared } = database
    const wanted = new Map(contracts.map((one) => [fieldKey(one), one]))
    const changed: DeclaredField[] = []
    // Looked at without a lock first: nearly always there is nothing to do.
    if ((await database.run(async (db) => lacking(await selectAll(db), wanted))).length === 0) return []
    database.checkRoom()
    await changes.apply([TYPES_CHANGED], async (trx) => {
      changed.length = 0
      await this.#lock(trx)
      const before = await selectAll(trx)
      for (const { field, next, places } of lacking(before, wanted)) {
        const last = before.get(fieldKey(field))?.changes.at(-1)
        const files = [...new Set(places.map((place) => place.replace(/:\d+$/, '')))]
        await writeDeclaration(trx, field, { last, next, who: `file ${files.join(', ')}`, isShared })
        changed.push(field)
      }
    })
    await this.known()
    return changed
  }

  close(): Promise<void> {
    return this.#rows.close()
  }

  /** What others declare meanwhile waits: a change is made of the one before it. */
  async #lock(trx: Transaction<RegistrySchema>): Promise<void> {
    if (!this.#parts.database.isShared) return
    await trx.selectFrom('registry_revision').select('revision').where('id', '=', 1).forUpdate().execute()
  }

  async #readAll(): Promise<void> {
    this.#fields = await this.#parts.database.run(selectAll)
    const required = [...this.#fields.values()].filter(({ changes }) => changes.some((one) => one.meaning.required))
    this.#required = Map.groupBy(required, streamOf)
    this.epoch += 1
  }
}

/** The fields of which something else is to hold by the contracts, those that had one before among them. */
function lacking(before: ReadonlyMap<string, DeclaredType>, wanted: ReadonlyMap<string, FieldContract>) {
  const isOfFile = ({ changes }: DeclaredType) => Object.keys(changes.at(-1)?.sources.files ?? {}).length > 0
  const left = [...before].flatMap(([key, one]) => (isOfFile(one) && !wanted.has(key) ? [one] : []))
  const fields: readonly (DeclaredField & Partial<FieldContract>)[] = [...wanted.values(), ...left]
  return fields.flatMap(({ tenant, stream, field, meaning = {}, places = {} }) => {
    const name = { tenant, stream, field }
    const last = before.get(fieldKey(name))?.changes.at(-1)
    const next = afterContracts(last, { meaning, places })
    const said = Object.values({ ...last?.sources.files, ...places })
    return next === undefined ? [] : [{ field: name, next, places: said }]
  })
}

function streamOf({ tenant, stream }: Pick<DeclaredField, 'tenant' | 'stream'>): string {
  return `${tenant}/${stream}`
}

async function selectAll(db: Kysely<RegistrySchema>): Promise<ReadonlyMap<string, DeclaredType>> {
  const query = db.selectFrom('declared_types').selectAll().orderBy('tenant').orderBy('stream')
  const rows = await query.orderBy('field').orderBy('since_ms').execute()
  return new Map(
    [...Map.groupBy(rows, fieldKey)].flatMap(([key, [first, ...others]]) => {
      if (first === undefined) return []
      const { tenant, stream, field } = first
      return [[key, { tenant, stream, field, changes: [first, ...others].map(toChange) }] as const]
    }),
  )
}
