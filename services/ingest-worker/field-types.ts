import type { FieldDeclaration, Registry } from '../../shared/registry/port.ts'
import type { FieldType, PointValue, Series } from '../../shared/telemetry.ts'
import { fieldKey } from '../../shared/topics.ts'
import type { Retry } from './retry.ts'

/** Fields asked for in one call. */
const ASK_FIELDS = 1000
/** Types kept, by tenant, stream and field; beyond it all are forgotten and asked for again. About 10 MB. */
const MAX_TYPES = 100_000
/** Series whose verdict is kept: as many as the decoder keeps series. About 20 MB. */
const MAX_SERIES = 200_000

const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

/** A point as it may be written, or why it may not. */
export type Fit =
  | { readonly series: Series; readonly value: PointValue }
  | { readonly code: 'type_conflict' | 'value_not_exact'; readonly detail: string }

/**
 * What each field's type is: pinned in the registry by the first that comes, before the first point is written. The
 * decoder takes every number for a float; a field declared integer takes those that are whole.
 */
export class FieldTypes {
  readonly #registry: Pick<Registry, 'pinFieldTypes'>
  readonly #retry: Retry
  #types = new Map<string, FieldType>()
  /** By the decoder's series: the series to write, or the type in force that it conflicts with. */
  #verdicts = new Map<Series, Series | FieldType>()

  constructor({ registry, retry }: { registry: Pick<Registry, 'pinFieldTypes'>; retry: Retry }) {
    this.#registry = registry
    this.#retry = retry
  }

  /**
   * Pins the types of all fields among the series. Until the next call every one of them has its verdict.
   * Resolves with true when all may be written as they are.
   */
  async pin(columns: readonly (readonly Series[])[]): Promise<boolean> {
    if (this.#verdicts.size > MAX_SERIES) this.#verdicts = new Map()
    const unknown: Series[] = []
    let plain = true
    for (const column of columns) {
      for (const series of column) {
        const verdict = this.#verdicts.get(series)
        if (verdict === undefined) unknown.push(series)
        else if (verdict !== series) plain = false
      }
    }
    if (unknown.length === 0) return plain
    await this.#ask(unknown)
    for (const series of unknown) {
      const verdict = this.#verdicts.get(series) ?? this.#judge(series)
      this.#verdicts.set(series, verdict)
      if (verdict !== series) plain = false
    }
    return plain
  }

  /** The point as it may be written. Its series was among those of the last {@link pin}. */
  fit(series: Series, value: PointValue): Fit {
    const verdict = this.#verdicts.get(series)
    if (typeof verdict !== 'object') {
      const detail = `"${series.field}" is of type ${verdict ?? 'another type'}, this value is ${series.type}`
      return { code: 'type_conflict', detail }
    }
    if (verdict.type === 'integer') return fitInteger(verdict, value)
    if (typeof value !== 'bigint') return { series: verdict, value }
    return { code: 'value_not_exact', detail: `"${series.field}" is of type float, and ${value} is not exact as one` }
  }

  #judge(series: Series): Series | FieldType {
    const type = this.#types.get(fieldKey(series))
    if (type === undefined || type === series.type) return series
    return type === 'integer' && series.type === 'float' ? { ...series, type } : type
  }

  async #ask(series: readonly Series[]): Promise<void> {
    if (this.#types.size > MAX_TYPES) this.#types = new Map()
    // The first in the order of the log decides about a field, as it does in the registry.
    const asked = new Map<string, FieldDeclaration>()
    for (const one of series) {
      const key = fieldKey(one)
      if (this.#types.has(key) || asked.has(key)) continue
      const { tenant, stream, field, type } = one
      asked.set(key, { tenant, stream, field, type })
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
  if (typeof value === 'bigint') return { series, value }
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    return { code: 'type_conflict', detail: `"${series.field}" is of type integer, this value is ${String(value)}` }
  }
  // -0 is no integer of its own.
  if (Number.isSafeInteger(value)) return { series, value: value + 0 }
  const exact = BigInt(value)
  if (exact >= MIN_INT64 && exact <= MAX_INT64) return { series, value: exact }
  return { code: 'type_conflict', detail: `"${series.field}" is a 64-bit integer, this value is ${value}` }
}
