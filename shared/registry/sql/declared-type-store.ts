import { SluiceError } from '../../errors.ts'
import { checkNewName, isDeviceName } from '../../names.ts'
import type { Logger } from '../../process/logger.ts'
import { fieldKey } from '../../topics.ts'
import {
  MAX_TYPE_CHANGES,
  type DeclaredField,
  type DeclaredType,
  type DeclaredTypes,
  type NumberType,
  type TypeChange,
} from '../types-port.ts'
import type { ChangeFeed } from './change-feed.ts'
import { KnownRows } from './known-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

type Row = RegistrySchema['declared_types']

/** What the change feed is told when a type was declared: no login has such a name. */
export const TYPES_CHANGED = '\u001etypes'
/** Others hear of a change within about a second: what is received later than this is stored by those who know. */
const HEARD_MS = 5_000
const MAX_FIELD_BYTES = 1_024

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
    return this.#fields.size === 0 ? [] : (this.#fields.get(fieldKey(field))?.changes ?? [])
  }

  known(): Promise<void> {
    return this.#rows.known()
  }

  async list(tenant?: string): Promise<readonly DeclaredType[]> {
    return [...(await this.#select()).values()].filter((one) => tenant === undefined || one.tenant === tenant)
  }

  async declare({ tenant, stream, field }: DeclaredField, type: NumberType, who: string): Promise<TypeChange> {
    const { database, changes } = this.#parts
    checkNewName('tenant', tenant)
    if (!isDeviceName(stream)) throw new SluiceError('name_invalid', 'stream: not the name of a stream')
    if (!field.isWellFormed() || Buffer.byteLength(field) > MAX_FIELD_BYTES) {
      throw new SluiceError('bad_request', `field: a name is text of at most ${MAX_FIELD_BYTES} bytes`)
    }
    database.checkRoom()
    const change = await changes.apply([TYPES_CHANGED], async (trx) => {
      const query = trx.selectFrom('declared_types').where('tenant', '=', tenant).where('stream', '=', stream)
      const last = await query
        .selectAll()
        .where('field', '=', field)
        .orderBy('since_ms', 'desc')
        .limit(1)
        .executeTakeFirst()
      if (last?.type === type) return toChange(last)
      const { count } = await trx
        .selectFrom('declared_types')
        .select(({ fn }) => fn.countAll<number | bigint | string>().as('count'))
        .executeTakeFirstOrThrow()
      if (Number(count) >= MAX_TYPE_CHANGES) {
        throw new SluiceError('bad_request', `types were declared ${MAX_TYPE_CHANGES} times, which is the most`)
      }
      const atMs = Date.now()
      const sinceMs = Math.max(atMs + (database.isShared ? HEARD_MS : 0), (last?.since_ms ?? 0) + 1)
      const row: Row = {
        tenant,
        stream,
        field,
        since_ms: sinceMs,
        type,
        who: who.slice(0, 256).toWellFormed(),
        at_ms: atMs,
      }
      await trx.insertInto('declared_types').values(row).execute()
      return toChange(row)
    })
    await this.known()
    return change
  }

  close(): Promise<void> {
    return this.#rows.close()
  }

  async #readAll(): Promise<void> {
    this.#fields = await this.#select()
    this.epoch += 1
  }

  async #select(): Promise<ReadonlyMap<string, DeclaredType>> {
    const rows = await this.#parts.database.run((db) => {
      const query = db.selectFrom('declared_types').selectAll().orderBy('tenant').orderBy('stream')
      return query.orderBy('field').orderBy('since_ms').execute()
    })
    const byField = Map.groupBy(rows, fieldKey)
    return new Map(
      [...byField].flatMap(([key, [first, ...others]]) => {
        if (first === undefined) return []
        const { tenant, stream, field } = first
        return [[key, { tenant, stream, field, changes: [first, ...others].map(toChange) }] as const]
      }),
    )
  }
}

function toChange({ since_ms: sinceMs, type, who, at_ms: atMs }: Row): TypeChange {
  return { sinceMs, type, who, atMs }
}
