import type { PointValue } from '../telemetry.ts'
import type { Column, ScannedSeries, SeriesType } from './port.ts'
import type { ScanSeries } from './scan-check.ts'

/** Values of one type as the port has them. */
export function toColumn(type: SeriesType, values: readonly PointValue[]): Column {
  switch (type) {
    case 'float':
      return Float64Array.from(values as readonly number[])
    case 'integer':
      if (values.every((value) => typeof value === 'number')) return Float64Array.from(values)
      return BigInt64Array.from(values as readonly (number | bigint)[], BigInt)
    case 'number':
      if (values.every((value) => typeof value === 'number')) return Float64Array.from(values)
      return values as readonly (number | bigint)[]
    case 'boolean':
      return Uint8Array.from(values, (value) => (value === true ? 1 : 0))
    case 'string':
      return values as readonly string[]
  }
}

/** A value of a column as points carry it. */
export function valueAt(column: Column, row: number, type: SeriesType): PointValue {
  const value = column[row] ?? 0
  if (type === 'boolean') return value === 1
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value
}

/** Points of a series as a scan hands them out. */
export function toScanned(
  { device, stream, field, type }: ScanSeries,
  points: { readonly ms: readonly number[]; readonly ns: readonly number[]; readonly values: readonly PointValue[] },
): ScannedSeries {
  const ns = points.ns.some((rest) => rest !== 0) ? Uint32Array.from(points.ns) : undefined
  const columns = { value: toColumn(type, points.values) }
  return { device, stream, field, type, ms: Float64Array.from(points.ms), ns, columns }
}
