import { changeAt, type DeclaredTypes, type TypeChange } from '../../shared/registry/types-port.ts'
import type { FieldDeclaration, Registry } from '../../shared/registry/port.ts'
import type { FieldType, PointValue, Series } from '../../shared/telemetry.ts'
import { fieldKey } from '../../shared/topics.ts'
import { outsideOf, type FieldMeaning } from '../../shared/types/meaning.ts'
import type { FieldBudget } from './field-budget.ts'
import type { Retry } from './retry.ts'

/** Fields asked for in one call. */
const ASK_FIELDS = 1000
/** Types kept, by tenant, stream and field; beyond it all are forgotten and asked for again. About 10 MB. */
const MAX_TYPES = 100_000
/** Series whose form is kept: as many as the decoder keeps series. About 20 MB. */
const MAX_SERIES = 200_000

const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

/**
 * A point as it may be written, or why it may not. `beside`: where its digits go as a text, because no double holds them.
 * `mark`: it is outside of its declared range.
 */
export type Fit =
  | { readonly series: Series; readonly value: PointValue; readonly beside?: Series; readonly mark?: string }
  | { readonly code: 'series_limit' | 'value_outside_range'; readonly detail: string }

/** What the registry says of fields. */
type TypesInForce = Pick<Registry, 'pinFieldTypes'> & { readonly declaredTypes: Pick<DeclaredTypes, 'epoch' | 'of'> }

/** What was declared of the numbers of a field, and where its whole numbers go while it is an integer. */
interface Declared {
  readonly integers: Series
  readonly changes: readonly Pick<TypeChange, 'sinceMs' | 'type' | 'meaning'>[]
}

/**
 * As which series the points of the decoder's series are written. A value of any kind is welcome in any field: kinds
 * lie side by side. The registry says two things of a field. Integer: its whole numbers are exact, in messages received
 * since that was declared; other numbers are floats beside them; and numbers outside of a declared range are refused, or
 * marked. And which type has the field's own name in a store that takes one type per name: the type that was first in it
 * while that decided about all others, float for a field that is new.
 */
export class FieldTypes {
  readonly #registry: TypesInForce
  readonly #retry: Retry
  readonly #budget: Pick<FieldBudget, 'admit'>
  /** Of the last call: one series too many, and why. */
  #refused: ReadonlyMap<Series, string> = new Map()
  #types = new Map<string, FieldType>()
  /** By the decoder's series: the series to write. */
  #forms = new Map<Series, Series>()
  /** By the decoder's series of numbers: where digits go that no double holds. */
  #digits = new Map<Series, Series>()
  /** By the decoder's series of numbers, of fields that ever were integers or had a range. */
  #declared = new Map<Series, Declared>()
  /** Of the declarations that the forms were made with. */
  #epoch = 0

  constructor(options: { registry: TypesInForce; retry: Retry; budget: Pick<FieldBudget, 'admit'> }) {
    this.#registry = options.registry
    this.#retry = options.retry
    this.#budget = options.budget
  }

  /**
   * Asks for the types of all fields among the series. Until the next call every one of them has its form, or is one
   * that its device may not have. Resolves with true when all may be written as they are.
   */
  async pin(columns: readonly (readonly Series[])[]): Promise<boolean> {
    const { epoch } = this.#registry.declaredTypes
    if (this.#forms.size > MAX_SERIES || epoch !== this.#epoch) {
      this.#forms = new Map()
      this.#declared = new Map()
      this.#epoch = epoch
    }
    if (this.#digits.size > MAX_SERIES) this.#digits = new Map()
    const unknown = new Set<Series>()
    let plain = true
    for (const column of columns) {
      for (const series of column) {
        const form = this.#forms.get(series)
        if (form === undefined) unknown.add(series)
        else if (form !== series || (this.#declared.size > 0 && this.#declared.has(series))) plain = false
      }
    }
    this.#refused = new Map()
    if (unknown.size === 0) return plain
    this.#refused = await this.#budget.admit([...unknown])
    const admitted = [...unknown].filter((series) => !this.#refused.has(series))
    await this.#ask(admitted)
    for (const series of admitted) {
      const form = this.#forms.get(series) ?? this.#formOf(series)
      this.#forms.set(series, form)
      const declared = this.#declaredOf(series)
      if (declared !== undefined) this.#declared.set(series, declared)
      if (form !== series || declared !== undefined) plain = false
    }
    return plain && this.#refused.size === 0
  }

  /**
   * The point of a message as it may be written. Its series was among those of the last {@link pin}. What is replayed
   * is judged by what is declared today: that may be what was mended.
   */
  fit(series: Series, value: PointValue, receivedMs: number, isReplayed: boolean): Fit {
    const refused = this.#refused.size === 0 ? undefined : this.#refused.get(series)
    if (refused !== undefined) return { code: 'series_limit', detail: refused }
    const declared = this.#declared.size === 0 ? undefined : this.#declared.get(series)
    if (declared === undefined) return this.#formed(series, value)
    const { changes, integers } = declared
    const said = isReplayed ? changes.at(-1) : changeAt(changes, receivedMs)
    const { meaning } = said ?? {}
    const outside = meaning && outsideOf(meaning, value)
    if (outside !== undefined && meaning?.outside === 'fault') return { code: 'value_outside_range', detail: outside }
    const exact = said?.type === 'integer' ? integerOf(value) : undefined
    const point = exact === undefined ? this.#formed(series, value) : { series: integers, value: exact }
    return outside === undefined ? point : { ...point, mark: outside }
  }

  #formed(series: Series, value: PointValue): { series: Series; value: PointValue; beside?: Series } {
    const form = this.#forms.get(series) ?? series
    if (typeof value !== 'bigint') return { series: form, value }
    const beside = this.#digits.get(series) ?? this.#formOf({ ...series, type: 'string', seat: undefined })
    this.#digits.set(series, beside)
    return { series: form, value: Number(value), beside }
  }

  #formOf(series: Series): Series {
    const plain = this.#plainOf(series)
    return plain === 'float' ? series : { ...series, plain }
  }

  #plainOf(series: Series): FieldType {
    return this.#types.get(fieldKey(series)) ?? 'float'
  }

  #declaredOf(series: Series): Declared | undefined {
    if (series.type !== 'float') return undefined
    const plain = this.#plainOf(series)
    const pinned = plain === 'integer' ? [{ sinceMs: 0, type: plain, meaning: { type: plain } as FieldMeaning }] : []
    const changes = [...pinned, ...this.#registry.declaredTypes.of(series)]
    const matters = changes.some(({ type, meaning: { min, max } }) => {
      return type === 'integer' || min !== undefined || max !== undefined
    })
    return matters ? { integers: { ...series, plain, type: 'integer', seat: undefined }, changes } : undefined
  }

  async #ask(series: readonly Series[]): Promise<void> {
    if (this.#types.size > MAX_TYPES) this.#types = new Map()
    const asked = new Map<string, FieldDeclaration>()
    for (const one of series) {
      const key = fieldKey(one)
      if (this.#types.has(key) || asked.has(key)) continue
      const { tenant, stream, field } = one
      asked.set(key, { tenant, stream, field, type: 'float' })
    }
    const keys = [...asked.keys()]
    const declarations = [...asked.values()]
    for (let from = 0; from < keys.length; from += ASK_FIELDS) {
      const part = declarations.slice(from, from + ASK_FIELDS)
      const types = await this.#retry.run('registry', () => this.#registry.pinFieldTypes(part))
      for (const [i, type] of types.entries()) this.#types.set(keys[from + i] ?? '', type)
    }
  }
}

/** The value as a 64-bit integer; undefined for what is none. */
function integerOf(value: PointValue): number | bigint | undefined {
  // -0 is no integer of its own.
  if (Number.isSafeInteger(value)) return Number(value) + 0
  const exact = typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value
  return typeof exact === 'bigint' && exact >= MIN_INT64 && exact <= MAX_INT64 ? exact : undefined
}
