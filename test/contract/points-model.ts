import type { DeleteRange, PointQuery } from '../../shared/points/port.ts'
import {
  compareInstants,
  FIELD_TYPES,
  kindOf,
  type Instant,
  type PointValue,
  type Series,
} from '../../shared/telemetry.ts'
import { seriesOf, type Found, type TestPoint } from './points-harness.ts'

export type Range = DeleteRange

const TYPES = ['float', 'integer', 'boolean', 'string'] as const

/** Two devices and two streams whose names differ in case, with every type; and a field that has three kinds of values. */
export const SERIES: readonly Series[] = TYPES.flatMap((type) => [
  seriesOf(type),
  seriesOf(type, { device: 'Pump-1' }),
  seriesOf(type, { stream: 'Telemetry' }),
  ...(type === 'integer' ? [] : [seriesOf(type, { field: 'mixed' })]),
])

/** A point of the model. */
export interface Kept {
  readonly series: Series
  readonly time: Instant
  readonly value: PointValue
}

/** The store as a plain map: what any adapter must look like from outside. */
export class PointModel {
  readonly #points = new Map<string, Kept>()
  /** Types of the series that had a point ever; deleted points leave them listed or not, as the adapter knows. */
  readonly #known = new Set<Series>()

  write(points: readonly TestPoint[]): void {
    for (const { series, ms, ns, value } of points) {
      const { tenant, device, stream, field, type } = series
      this.#points.set(JSON.stringify([tenant, device, stream, field, type, ms, ns]), {
        series,
        time: { ms, ns },
        value,
      })
      this.#known.add(series)
    }
  }

  /** All points, in no order. */
  all(): readonly Kept[] {
    return [...this.#points.values()]
  }

  delete(range: DeleteRange): void {
    for (const [key, { series, time }] of this.#points) {
      if (covers(range, series) && isWithin(range, time)) this.#points.delete(key)
    }
    if (range.to !== undefined || (range.from !== undefined && compareInstants(range.from, { ms: 0, ns: 0 }) > 0))
      return
    for (const series of this.#known) if (covers(range, series)) this.#known.delete(series)
  }

  /**
   * All points or windows of a query, and whether it is refused; undefined where that depends on whether series are
   * listed of which all points were deleted.
   */
  query(query: PointQuery): { points: Found; tolerance: number | undefined; refused: boolean | undefined } {
    const found = [...this.#points.values()]
      .filter(({ series, time }) => covers(query, series) && isWithin(query, time))
      .filter(({ series }) => isOfKind(query, series))
      .sort((a, b) => compareSeries(a.series, b.series) || compareInstants(a.time, b.time))
    const { aggregate } = query
    if (aggregate === undefined) {
      const points = found.map(({ series, time, value }): Found[number] => [series.field, time, value])
      return { points, tolerance: undefined, refused: false }
    }
    const isDefined = ({ type }: Series): boolean => {
      return kindOf(type) === 'number' || ['count', 'first', 'last'].includes(aggregate.function)
    }
    const rounds = aggregate.function === 'sum' || aggregate.function === 'mean'
    const defined = found.filter(({ series }) => isDefined(series))
    const magnitude = rounds ? defined.reduce((sum, { value }) => sum + Math.abs(Number(value)), 0) : 0
    const points = toWindows(defined, aggregate)
    const ever = [...this.#known].filter((series) => covers(query, series) && isOfKind(query, series))
    const refused = isRefused(
      query,
      ever,
      found.map(({ series }) => series),
      isDefined,
    )
    return { points, tolerance: rounds ? magnitude * 1e-12 : undefined, refused }
  }
}

function covers(range: Omit<DeleteRange, 'from' | 'to'> & { field?: string }, series: Series): boolean {
  return (['tenant', 'device', 'stream', 'field'] as const).every(
    (part) => (range[part] ?? series[part]) === series[part],
  )
}

function isWithin({ from, to }: { from?: Instant; to?: Instant }, time: Instant): boolean {
  return (from === undefined || compareInstants(time, from) >= 0) && (to === undefined || compareInstants(time, to) < 0)
}

function compareSeries(a: Series, b: Series): number {
  const byField = a.field < b.field ? -1 : a.field > b.field ? 1 : 0
  return byField || FIELD_TYPES.indexOf(a.type) - FIELD_TYPES.indexOf(b.type)
}

function isOfKind({ kind }: PointQuery, { type }: Series): boolean {
  return kind === undefined || kindOf(type) === kind
}

/** `ever` and `now`: series of the query that had a point, and that have one. */
function isRefused(
  { field, kind }: PointQuery,
  ever: readonly Series[],
  now: readonly Series[],
  isDefined: (series: Series) => boolean,
): boolean | undefined {
  if (field === undefined && kind === undefined) return false
  if (now.some(isDefined) || ever.every(isDefined)) return false
  return !ever.some(isDefined) && now.length > 0 ? true : undefined
}

function toWindows(points: readonly Kept[], { function: fn, intervalMs }: NonNullable<PointQuery['aggregate']>): Found {
  const windows = new Map<string, Kept[]>()
  for (const point of points) {
    const window = intervalMs === undefined ? 0 : Math.floor(point.time.ms / intervalMs)
    const key = `${window} ${point.series.field} ${point.series.type}`
    windows.set(key, [...(windows.get(key) ?? []), point])
  }
  return [...windows].map(([key, inside]) => {
    const first = inside[0]
    if (first === undefined) throw new Error('no window is empty')
    const values = inside.map(({ value }) => value)
    const value = fold(fn, values)
    const named = fn === 'last' ? inside.length - 1 : fn === 'min' || fn === 'max' ? values.indexOf(value) : 0
    const begin = { ms: Number(key.split(' ')[0]) * (intervalMs ?? 0), ns: 0 }
    return [first.series.field, intervalMs === undefined ? (inside[named] ?? first).time : begin, value]
  })
}

function fold(fn: NonNullable<PointQuery['aggregate']>['function'], values: readonly PointValue[]): PointValue {
  const sum = (): number => values.reduce<number>((total, value) => total + Number(value), 0)
  const least = (isBetter: (a: PointValue, b: PointValue) => boolean): PointValue =>
    values.reduce((best, value) => (isBetter(value, best) ? value : best))
  switch (fn) {
    case 'count':
      return values.length
    case 'sum':
      return sum()
    case 'mean':
      return sum() / values.length
    case 'first':
      return values[0] ?? 0
    case 'last':
      return values.at(-1) ?? 0
    case 'min':
      return least((a, b) => a < b)
    case 'max':
      return least((a, b) => a > b)
  }
}
