import type { PointValue } from '../telemetry.ts'
import { isNumeric } from './aggregate.ts'
import { ExactSum, type SumParts } from './exact-sum.ts'
import type { ScannedSeries, SeriesType } from './port.ts'
import type { ScanSeries } from './scan-check.ts'
import { toColumn } from './scan-columns.ts'

/** A window that may get more points; plain, because it goes on in another thread. */
export interface OpenWindow {
  /** Its number, counted from 1970. */
  readonly window: number
  count: number
  readonly sum: SumParts
  min: PointValue | undefined
  max: PointValue | undefined
  readonly first: PointValue
  last: PointValue
}

/** What is known of some points without having them. */
export interface PointsSummary {
  readonly first: PointValue
  readonly last: PointValue
  readonly numeric: { readonly min: PointValue; readonly max: PointValue; readonly sum: SumParts } | undefined
}

interface DoneWindow {
  readonly window: number
  readonly count: number
  readonly sum: number
  readonly mean: number
  readonly min: PointValue
  readonly max: PointValue
}

/** Folds the points of one series, given in time order, into windows. Sums are exact before their one rounding. */
export class WindowFold {
  readonly #type: SeriesType
  readonly #stepMs: number
  readonly #done: DoneWindow[] = []
  readonly #first: PointValue[] = []
  readonly #last: PointValue[] = []
  #open: OpenWindow | undefined
  #sum: ExactSum

  /** `open` is what an earlier fold of the series left. */
  constructor(type: SeriesType, stepMs: number, open: OpenWindow | undefined) {
    this.#type = type
    this.#stepMs = stepMs
    this.#open = open && { ...open }
    this.#sum = new ExactSum()
    if (open !== undefined) this.#sum.addParts(open.sum)
  }

  add(ms: number, value: PointValue): void {
    const open = this.#windowOf(ms, value)
    open.count++
    open.last = value
    // The type of the series says that these are numbers.
    if (!isNumeric(this.#type)) return
    this.#sum.addInteger(value as number | bigint)
    widen(open, value, value)
  }

  /** Adds points that lie in one window. */
  addSummary(ms: number, count: number, { first, last, numeric }: PointsSummary): void {
    const open = this.#windowOf(ms, first)
    open.count += count
    open.last = last
    if (numeric === undefined) return
    this.#sum.addParts(numeric.sum)
    widen(open, numeric.min, numeric.max)
  }

  /** The windows that are complete; with `ended` the last one, too, which is handed back otherwise. */
  finish(series: ScanSeries, ended: boolean): { found: ScannedSeries | undefined; open: OpenWindow | undefined } {
    if (ended) this.#close()
    const open = this.#open && { ...this.#open, sum: this.#sum.parts }
    const found = this.#done.length === 0 ? undefined : this.#toScanned(series)
    return { found, open }
  }

  #toScanned({ device, stream, field, type }: ScanSeries): ScannedSeries {
    const done = this.#done
    const ms = Float64Array.from(done, ({ window }) => window * this.#stepMs)
    const count = Float64Array.from(done, (one) => one.count)
    const ends = { first: toColumn(type, this.#first), last: toColumn(type, this.#last) }
    const name = { device, stream, field, type }
    if (!isNumeric(type)) return { ...name, ms, ns: undefined, columns: { count, ...ends } }
    const column = (which: 'min' | 'max') =>
      toColumn(
        type,
        done.map((one) => one[which]),
      )
    const sum = Float64Array.from(done, (one) => one.sum)
    const columns = { count, ...ends, min: column('min'), max: column('max'), sum }
    const mean = sum.every(Number.isFinite) ? {} : { mean: Float64Array.from(done, (one) => one.mean) }
    return { ...name, ms, ns: undefined, columns: { ...columns, ...mean } }
  }

  #windowOf(ms: number, value: PointValue): OpenWindow {
    const window = Math.floor(ms / this.#stepMs)
    if (this.#open !== undefined && this.#open.window !== window) this.#close()
    if (this.#open === undefined) {
      const sum = { low: [], high: [] }
      this.#open = { window, count: 0, sum, min: undefined, max: undefined, first: value, last: value }
      this.#sum = new ExactSum()
    }
    return this.#open
  }

  #close(): void {
    if (this.#open === undefined) return
    const { window, count, min = 0, max = 0, first, last } = this.#open
    this.#done.push({ window, count, sum: this.#sum.total(), mean: this.#sum.mean(count), min, max })
    this.#first.push(first)
    this.#last.push(last)
    this.#open = undefined
  }
}

function widen(open: OpenWindow, min: PointValue, max: PointValue): void {
  if (open.min === undefined || min < open.min) open.min = min
  if (open.max === undefined || max > open.max) open.max = max
}
