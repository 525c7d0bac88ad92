import { compareText } from '../../text-order.ts'
import type { Retention } from '../port.ts'
import { checked, hotValues, insertHot } from './hot-rows.ts'
import type { HotDatabase } from './hot.ts'
import { int, optionalInt, text } from './row.ts'

const SET_KEEP = "UPDATE tenant SET keep_ms = ?1, crc = row_check('tenant', id, name, ?1) WHERE name = ?2"

/** Tenants, their numeric ids, and how long their points are kept. */
export class Tenants {
  readonly #hot: HotDatabase
  /** What is kept of any tenant at most, in ms; undefined = for ever. */
  readonly #mostMs: number | undefined
  readonly #known = new Map<string, { readonly id: number; keepMs: number | undefined }>()
  #unsaved: string[] = []
  #last = 0

  constructor(hot: HotDatabase, mostMs: number | undefined) {
    this.#hot = hot
    this.#mostMs = mostMs
    for (const row of hot.db.prepare('SELECT * FROM tenant').iterate()) {
      checked('tenant', row)
      this.#known.set(text(row, 'name'), { id: int(row, 'id'), keepMs: optionalInt(row, 'keep_ms') })
      this.#last = Math.max(this.#last, int(row, 'id'))
    }
  }

  /** By name. */
  get names(): string[] {
    return [...this.#known.keys()].sort()
  }

  idOf(name: string): number | undefined {
    return this.#known.get(name)?.id
  }

  nameOf(id: number): string | undefined {
    return [...this.#known].find(([, known]) => known.id === id)?.[0]
  }

  /** The id of a tenant, made when it is new. */
  idFor(name: string): number {
    const known = this.idOf(name)
    if (known !== undefined) return known
    const id = ++this.#last
    this.#known.set(name, { id, keepMs: undefined })
    this.#unsaved.push(name)
    return id
  }

  /** Within a transaction: writes what is new. Followed by {@link saved} when the transaction was committed. */
  save(): void {
    for (const name of this.#unsaved) {
      this.#hot.db.prepare(insertHot('tenant')).run(...hotValues('tenant', [this.idOf(name) ?? 0, name, null]))
    }
  }

  saved(): void {
    if (this.#unsaved.length > 0) this.#unsaved = []
  }

  /** How long points of a tenant are kept; undefined = for ever. */
  keepMs(tenant: number | string): number | undefined {
    const name = typeof tenant === 'string' ? tenant : this.nameOf(tenant)
    const own = name === undefined ? undefined : this.#known.get(name)?.keepMs
    return own === undefined || this.#mostMs === undefined ? (own ?? this.#mostMs) : Math.min(own, this.#mostMs)
  }

  /** Within a transaction, of a tenant that is saved. To be followed by {@link kept}. */
  writeKeepMs(tenant: string, keepMs: number | undefined): void {
    this.#hot.db.prepare(SET_KEEP).run(keepMs ?? null, tenant)
  }

  kept(tenant: string, keepMs: number | undefined): void {
    const known = this.#known.get(tenant)
    if (known !== undefined) known.keepMs = keepMs
  }

  retention(): Retention {
    const set = Array.from(this.#known, ([tenant, { keepMs }]) => (keepMs === undefined ? [] : [{ tenant, keepMs }]))
    return { mostMs: this.#mostMs, tenants: set.flat().sort((a, b) => compareText(a.tenant, b.tenant)) }
  }
}
