import { storedType } from '../../shared/points/aggregate.ts'
import type { Column, PointScan, PointStore, ScanBudget, ScanColumns, ScanEnd } from '../../shared/points/port.ts'
import { valueAt } from '../../shared/points/scan-columns.ts'
import {
  compareInstants,
  FIELD_TYPES,
  kindOf,
  type FieldType,
  type Instant,
  type PointValue,
  type Series,
} from '../../shared/telemetry.ts'
import type { Kept } from './points-model.ts'

export const AMPLE: ScanBudget = { series: 1e6, points: 1e9, bytes: 1e12, ms: 60_000 }

/** A point or a window: its series, its time, and its values by column. */
export type ScanRow = readonly [
  series: string,
  time: Instant,
  values: Readonly<Partial<Record<keyof ScanColumns, PointValue>>>,
]

export type Asked = Omit<PointScan, 'budget' | 'cursor'>

/** What one call brings. */
export async function scanned(store: PointStore, scan: PointScan): Promise<{ rows: ScanRow[]; end: ScanEnd }> {
  const rows: ScanRow[] = []
  for await (const item of store.scan(scan)) {
    if (item.kind === 'end') return { rows, end: item }
    for (const { device, stream, field, type, ms, ns, columns } of item.series) {
      for (let row = 0; row < ms.length; row++) {
        const entries = (Object.entries(columns) as [string, Column][]).map(([name, column]) => {
          return [name, valueAt(column, row, name === 'count' || name === 'sum' ? 'float' : type)]
        })
        const time = { ms: ms[row] ?? 0, ns: ns?.[row] ?? 0 }
        rows.push([nameOf({ device, stream, field, type: storedType(type) }), time, Object.fromEntries(entries)])
      }
    }
  }
  throw new Error('a scan ended without saying so')
}

/** What all calls bring, each going on where the one before ended; `onEnd` is told of each end. */
export async function scannedToEnd(
  store: PointStore,
  scan: PointScan,
  onEnd: (end: ScanEnd, rows: readonly ScanRow[]) => void = () => {},
): Promise<ScanRow[]> {
  const all: ScanRow[] = []
  for (let cursor = scan.cursor; ;) {
    const { rows, end } = await scanned(store, { ...scan, ...(cursor === undefined ? {} : { cursor }) })
    onEnd(end, rows)
    all.push(...rows)
    if (end.next === undefined) return all
    cursor = end.next
  }
}

/** The same of points in a plain list. `matches` says what a pattern means. */
export function expectedRows(points: readonly Kept[], asked: Asked): ScanRow[] {
  const { tenant, selector, kinds, from, to, stepMs } = asked
  const { devices, streams, fields } = selector
  const inside = points
    .filter(({ series }) => {
      return series.tenant === tenant && (kinds === undefined || kinds.includes(kindOf(series.type)))
    })
    .filter(({ series }) => devices === undefined || devices.includes(series.device))
    .filter(({ series }) => streams === undefined || streams.some((one) => toRegExp(one).test(series.stream)))
    .filter(({ series }) => fields === undefined || fields.some((one) => toRegExp(one).test(series.field)))
    .filter(({ time }) => from === undefined || compareInstants(time, from) >= 0)
    .filter(({ time }) => to === undefined || compareInstants(time, to) < 0)
    .sort((a, b) => compareSeries(a.series, b.series) || compareInstants(a.time, b.time))
  if (stepMs === undefined) return inside.map(({ series, time, value }) => [nameOf(series), time, { value }])
  const windows = new Map<string, Kept[]>()
  for (const point of inside) {
    const key = `${nameOf(point.series)} ${Math.floor(point.time.ms / stepMs)}`
    windows.set(key, [...(windows.get(key) ?? []), point])
  }
  return [...windows.values()].map((window) => windowOf(window, stepMs))
}

function windowOf(window: readonly Kept[], stepMs: number): ScanRow {
  const [first, last] = [window[0], window.at(-1)]
  if (first === undefined || last === undefined) throw new Error('no window is empty')
  const ends = { count: window.length, first: first.value, last: last.value }
  const time = { ms: Math.floor(first.time.ms / stepMs) * stepMs, ns: 0 }
  if (kindOf(first.series.type) !== 'number') return [nameOf(first.series), time, ends]
  const values = window.map(({ value }) => value)
  const min = values.reduce((least, value) => (value < least ? value : least))
  const max = values.reduce((most, value) => (value > most ? value : most))
  const sum = values.reduce<number>((total, value) => total + Number(value), 0)
  return [nameOf(first.series), time, { ...ends, min, max, sum }]
}

function nameOf({ device, stream, field, type }: Pick<Series, 'device' | 'stream' | 'field' | 'type'>): string {
  return JSON.stringify([device, stream, field, type])
}

function compareSeries(a: Series, b: Series): number {
  const bytes = (['device', 'stream', 'field'] as const).map((part) => {
    return Buffer.compare(Buffer.from(a[part]), Buffer.from(b[part]))
  })
  const index = (type: FieldType) => FIELD_TYPES.indexOf(type)
  return bytes.find((order) => order !== 0) ?? index(a.type) - index(b.type)
}

function toRegExp(pattern: string): RegExp {
  const source = pattern.replace(/[\\^$.|?*+()[\]{}]/g, (found) => ({ '*': '.*', '?': '.' })[found] ?? `\\${found}`)
  return new RegExp(`^${source}$`, 'su')
}
