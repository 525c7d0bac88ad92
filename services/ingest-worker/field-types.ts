import type { FieldDeclaration, Registry } from '../../shared/registry/port.ts'
import type { FieldType, PointValue, Series } from '../../shared/telemetry.ts'
import { fieldKey } from '../../shared/topics.ts'
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
 */
export type Fit =
  | { readonly series: Series; readonly value: PointValue; readonly beside?: Series }
  | { readonly code: 'type_conflict' | 'series_limit'; readonly detail: string }

/**
 * As which series the points of the decoder's series are written. A value of any kind is welcome in any field: kinds
 * lie side by side. The registry says two things of a field. Integer: it was declared to have whole numbers, and takes
 * no others. And which type has the field's own name in a store that takes one type per name: the type that was first
 * in it while that decided about all others, float for a field that is new.
 */
export class FieldTypes {
  readonly #registry: Pick<Registry, 'pinFieldTypes'>
  readonly #retry: Retry
  readonly #budget: Pick<FieldBudget, 'admit'>
  /** Of the last call: one series too many, and why. */
  #refused: ReadonlyMap<Series, string> = new Map()
  #types = new Map<string, FieldType>()
  /** By the decoder's series: the series to write. */
  #forms = new Map<Series, Series>()
  /** By the decoder's series of numbers: where digits go that no double holds. */
  #digits = new Map<Series, Series>()

  constructor(options: {
    registry: Pick<Registry, 'pinFieldTypes'>
    retry: Retry
    budget: Pick<FieldBudget, 'admit'>
  }) {
    this.#registry = options.registry
    this.#retry = options.retry
    this.#budget = options.budget
  }

  /**
   * Asks for the types of all fields among the series. Until the next call every one of them has its form, or is one
   * that its device may not have. Resolves with true when all may be written as they are.
   */
  async pin(columns: readonly (readonly Series[])[]): Promise<boolean> {
    if (this.#forms.size > MAX_SERIES) this.#forms = new Map()
    if (this.#digits.size > MAX_SERIES) this.#digits = new Map()
    const unknown = new Set<Series>()
    let plain = true
    for (const column of columns) {
      for (const series of column) {
        const form = this.#forms.get(series)
        if (form === undefined) unknown.add(series)
        else if (form !== series) plain = false
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
      if (form !== series) plain = false
    }
    return plain && this.#refused.size === 0
  }

  /** The point as it may be written. Its series was among those of the last {@link pin}. */
  fit(series: Series, value: PointValue): Fit {
    const refused = this.#refused.size === 0 ? undefined : this.#refused.get(series)
    if (refused !== undefined) return { code: 'series_limit', detail: refused }
    const form = this.#forms.get(series) ?? series
    if (form.type === 'integer') return fitInteger(form, value)
    if (typeof value !== 'bigint') return { series: form, value }
    const beside = this.#digits.get(series) ?? this.#formOf({ ...series, type: 'string', seat: undefined })
    this.#digits.set(series, beside)
    return { series: form, value: Number(value), beside }
  }

  #formOf(series: Series): Series {
    const plain = this.#types.get(fieldKey(series)) ?? 'float'
    if (plain === 'float') return series
    return { ...series, plain, type: plain === 'integer' && series.type === 'float' ? plain : series.type }
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

function fitInteger(series: Series, value: PointValue): Fit {
  if (typeof value === 'bigint') return fitWide(series, value)
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    return { code: 'type_conflict', detail: `"${series.field}" is declared integer, this value is ${String(value)}` }
  }
  // -0 is no integer of its own.
  if (Number.isSafeInteger(value)) return { series, value: value + 0 }
  return fitWide(series, BigInt(value))
}

function fitWide(series: Series, exact: bigint): Fit {
  if (exact >= MIN_INT64 && exact <= MAX_INT64) return { series, value: exact }
  return { code: 'type_conflict', detail: `"${series.field}" is a 64-bit integer, this value is ${exact}` }
}
