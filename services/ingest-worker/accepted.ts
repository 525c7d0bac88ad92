import type { PointBatch, PointValue, Series } from '../../shared/telemetry.ts'
import type { Slice } from './slice.ts'

/** Points of one slice that are to be written, column by column, with the reading each belongs to. */
export interface Accepted {
  readonly slice: Slice
  readonly points: PointBatch
  /** Per point, as in `Decoded`. */
  readonly record: readonly number[]
  readonly element: readonly number[]
}

/** All that was decoded of the slice. */
export function partOf(slice: Slice): Accepted {
  const { points, record, element } = slice.decoded
  return { slice, points, record, element }
}

/** Where points of the slice are put that are kept. */
export function nothingOf(slice: Slice): Accepted & { record: number[]; element: number[] } {
  return { slice, points: emptyBatch(), record: [], element: [] }
}

function emptyBatch(): PointBatch {
  return { series: [], ms: [], ns: [], values: [] }
}

/** Point `i` is kept, as it is to be stored. */
export function keep(
  kept: ReturnType<typeof nothingOf>,
  { points, record, element }: Pick<Accepted, 'points' | 'record' | 'element'>,
  i: number,
  { series, value }: { readonly series: Series; readonly value: PointValue },
): void {
  kept.points.series.push(series)
  kept.points.ms.push(at(points.ms, i))
  kept.points.ns.push(at(points.ns, i))
  kept.points.values.push(value)
  kept.record.push(at(record, i))
  kept.element.push(at(element, i))
}

/** An element of a column at an index that is within it. */
export function at<T>(column: readonly T[], index: number): T {
  const value = column[index]
  if (value === undefined) throw new RangeError(`no point ${index} among ${column.length}`)
  return value
}

/** Of how many readings the points are. Those of one reading stand side by side, as they were decoded. */
export function readingsOf({ record, element }: Pick<Accepted, 'record' | 'element'>): number {
  let readings = 0
  for (let i = 0; i < record.length; i++) {
    if (i === 0 || record[i] !== record[i - 1] || element[i] !== element[i - 1]) readings += 1
  }
  return readings
}
