import type { Column, ScanBudget, ScanColumns, ScannedSeries } from './port.ts'
import { compareScanSeries, type ScanPlace } from './scan-check.ts'

/** What of some series may be handed out, and where and why the rest may not. */
export interface Measured {
  readonly series: readonly ScannedSeries[]
  readonly cut: { readonly by: 'series' | 'points' | 'bytes'; readonly at: ScanPlace } | undefined
}

/** Counts what a scan hands out, and cuts where a budget ends. */
export class ScanMeter {
  readonly #budget: ScanBudget
  #last: ScannedSeries | undefined
  #series = 0
  #points = 0
  #bytes = 0

  constructor(budget: ScanBudget) {
    this.#budget = budget
  }

  get spent(): Omit<ScanBudget, 'ms'> {
    return { series: this.#series, points: this.#points, bytes: this.#bytes }
  }

  /** Takes series in the order of the scan, each with at least one row. */
  take(all: readonly ScannedSeries[]): Measured {
    const series: ScannedSeries[] = []
    for (const one of all) {
      const isNew = this.#last === undefined || compareScanSeries(this.#last, one) !== 0
      if (isNew && this.#series >= this.#budget.series) return { series, cut: { by: 'series', at: placeOf(one, 0) } }
      const rows = this.#fitting(one)
      if (rows > 0) {
        series.push(rows < one.ms.length ? firstRows(one, rows) : one)
        if (isNew) this.#series++
        this.#last = one
      }
      if (rows < one.ms.length) {
        const by = this.#points >= this.#budget.points ? 'points' : 'bytes'
        return { series, cut: { by, at: placeOf(one, rows) } }
      }
    }
    return { series, cut: undefined }
  }

  /** How many of the first rows may be handed out; they are counted. */
  #fitting({ ms, ns, columns }: ScannedSeries): number {
    const all = [ms, ...(ns === undefined ? [] : [ns]), ...columnsOf(columns)]
    const lists = all.filter((column) => Array.isArray(column)) as (readonly (string | number | bigint)[])[]
    const plain = all.reduce((sum, column) => sum + ('BYTES_PER_ELEMENT' in column ? column.BYTES_PER_ELEMENT : 0), 0)
    let rows = 0
    for (; rows < ms.length && this.#points < this.#budget.points; rows++) {
      let bytes = plain
      for (const column of lists) {
        const value = column[rows]
        bytes += typeof value === 'string' ? value.length * 2 : 8
      }
      if (this.#points > 0 && this.#bytes + bytes > this.#budget.bytes) break
      this.#bytes += bytes
      this.#points++
    }
    return rows
  }
}

function columnsOf(columns: ScanColumns): Column[] {
  return Object.values(columns).filter((column) => column !== undefined) as Column[]
}

function placeOf({ device, stream, field, type, ms, ns }: ScannedSeries, row: number): ScanPlace {
  return { device, stream, field, type, time: { ms: ms[row] ?? 0, ns: ns?.[row] ?? 0 } }
}

function firstRows(one: ScannedSeries, rows: number): ScannedSeries {
  const cut = <T extends Column>(column: T): T => {
    // A view of the same kind, which the compiler does not know of a union.
    return (Array.isArray(column) ? column.slice(0, rows) : (column as Float64Array).subarray(0, rows)) as T
  }
  const columns = Object.entries(one.columns).map(([name, column]) => [name, cut(column as Column)])
  return {
    ...one,
    ms: cut(one.ms),
    ns: one.ns && one.ns.subarray(0, rows),
    columns: Object.fromEntries(columns) as ScanColumns,
  }
}
