import {
  compareInstants,
  fromNanoseconds,
  toNanoseconds,
  MAX_INSTANT,
  type Instant,
  type PointValue,
} from '../../telemetry.ts'
import type { Aggregate, ScannedSeries } from '../port.ts'
import { isNumeric } from '../aggregate.ts'
import type { StoredScanSeries } from '../scan-check.ts'
import { toColumn, toScanned, valueAt } from '../scan-columns.ts'
import { WindowFold } from '../scan-windows.ts'
import { cellOf, parseTime, parseValue, typeOf, type OnRow } from './csv.ts'
import { pointsOfMany, together, windowsOfMany, type ManySelection } from './flux.ts'
import { joinedPoints, type ReadBoth } from './joined.ts'
import { readName } from './names.ts'
import { earlier, later, type InfluxReader } from './reader.ts'

/** Rows of one answer that are held at once. */
export const HELD_ROWS = 50_000

/** And characters of text in them. */
const HELD_CHARACTERS = 8 * 1024 * 1024

const OF_NUMBERS: readonly Aggregate[] = ['count', 'first', 'last', 'min', 'max', 'sum']
const OF_OTHERS: readonly Aggregate[] = ['count', 'first', 'last']

/** 64 bits end here. */
const MAX_INTEGER = 2n ** 63n - 1n

export interface FoundSeries extends StoredScanSeries {
  readonly measurement: string
  readonly key: string
}

/** Rows of one series in time order; a window has the values of its functions in the order of {@link OF_NUMBERS}. */
export interface Rows {
  readonly times: Instant[]
  readonly values: PointValue[]
}

/** Whom to ask. */
export interface Asking {
  readonly reader: InfluxReader
  readonly bucket: string
  readonly signal: AbortSignal | undefined
}

export type Span = Pick<ManySelection, 'from' | 'to'>

/**
 * The first `limit` points of each of some series; undefined when they are too long to be held together. `isCut` when those
 * of one alone are.
 */
export async function readPoints(
  { reader, bucket, signal }: Asking,
  series: readonly FoundSeries[],
  span: Span,
  limit: number,
): Promise<{ held: ReadonlyMap<string, Rows>; isCut: boolean } | undefined> {
  const held = new Map<string, Rows>()
  let room = HELD_CHARACTERS
  const onRow: OnRow = (table, cells) => {
    const value = parseValue(typeOf(table, '_value'), cellOf(table, cells, '_value'))
    add(held, keyOfRow(table, cells), parseTime(cellOf(table, cells, '_time')), value)
    if (typeof value === 'string') room -= value.length
    return room > 0
  }
  await reader.ask(pointsOfMany({ bucket, series, ...span }, limit), onRow, signal)
  // Of one alone what came is what comes first.
  return room > 0 || series.length === 1 ? { held, isCut: room <= 0 } : undefined
}

/** The first `limit` windows of each of some series, complete ones all. */
export async function readWindows(
  asking: Asking,
  series: readonly FoundSeries[],
  span: Span,
  stepMs: number,
  limit: number,
): Promise<ReadonlyMap<string, ScannedSeries>> {
  const { reader, bucket, signal } = asking
  // The server counts for ever at a window that ends behind the last moment of 64 bits: that one is made here.
  const last: Instant = { ms: Math.floor(MAX_INSTANT.ms / stepMs) * stepMs, ns: 0 }
  const before = { from: span.from, to: earlier(span.to, last) }
  const held = new Map<string, Map<number, Partial<Record<Aggregate, PointValue>>>>()
  if (compareInstants(before.from, before.to) < 0) {
    const parts = [true, false].flatMap((numeric) => {
      const some = series.filter(({ type }) => isNumeric(type) === numeric)
      if (some.length === 0) return []
      return (numeric ? OF_NUMBERS : OF_OTHERS).map((name) => {
        const query = windowsOfMany({ bucket, series: some, ...before }, { function: name, stepMs }, limit)
        return [`${name} ${numeric}`, query] as const
      })
    })
    const onRow: OnRow = (table, cells) => {
      const key = keyOfRow(table, cells)
      const windows = held.get(key) ?? new Map<number, Partial<Record<Aggregate, PointValue>>>()
      held.set(key, windows)
      const window = Math.floor(parseTime(cellOf(table, cells, '_time')).ms / stepMs)
      const values = windows.get(window) ?? {}
      windows.set(window, values)
      const [name] = cellOf(table, cells, 'result').split(' ') as [Aggregate]
      values[name] = parseValue(typeOf(table, '_value'), cellOf(table, cells, '_value'))
    }
    await reader.ask(together(Object.fromEntries(parts)), onRow, signal)
  }
  const found = new Map<string, ScannedSeries>()
  for (const one of series) {
    const windows = await exact(asking, one, held.get(keyOf(one)) ?? new Map<number, never>(), before, stepMs)
    if (compareInstants(span.to, last) > 0 && windows.size < limit) {
      const rest = await fold(asking, one, { from: later(span.from, last), to: span.to }, stepMs)
      if (rest !== undefined) windows.set(last.ms / stepMs, rest)
    }
    if (windows.size > 0) found.set(keyOf(one), toWindows(one, windows, stepMs))
  }
  return found
}

/** About the first `limit` points or windows of the two series of the numbers of a field; undefined when there are none. */
export async function readBoth(
  asking: Asking,
  both: readonly [FoundSeries, FoundSeries],
  span: Span,
  stepMs: number | undefined,
  limit: number,
): Promise<ScannedSeries | undefined> {
  const name = { device: both[0].device, stream: both[0].stream, field: both[0].field, type: 'number' as const }
  const read: ReadBoth = async (part, most) => {
    const found = await readPoints(asking, both, part, most)
    const of = (one: FoundSeries): Rows => found?.held.get(keyOf(one)) ?? { times: [], values: [] }
    return [of(both[0]), of(both[1])]
  }
  const points = { ms: [] as number[], ns: [] as number[], values: [] as PointValue[] }
  const fold = stepMs === undefined ? undefined : new WindowFold('number', stepMs, undefined)
  let windows = 0
  let window = NaN
  for await (const { times, values } of joinedPoints(read, span, stepMs === undefined ? limit : Infinity)) {
    for (const [i, { ms, ns }] of times.entries()) {
      const value = values[i] ?? 0
      if (fold === undefined || stepMs === undefined) {
        points.ms.push(ms)
        points.ns.push(ns)
        points.values.push(value)
        continue
      }
      if (Math.floor(ms / stepMs) !== window) windows++
      window = Math.floor(ms / stepMs)
      fold.add(ms, value)
    }
    // The last window may go on.
    if (fold === undefined ? points.ms.length >= limit : windows > limit) break
  }
  if (fold !== undefined) return fold.finish(name, windows <= limit).found
  return points.ms.length === 0 ? undefined : toScanned(name, points)
}

export function keyOf({ device, measurement, key }: FoundSeries): string {
  return `${device}\n${measurement}\n${key}`
}

export function justBehind(time: Instant): Instant {
  return fromNanoseconds(toNanoseconds(time) + 1n)
}

type Windows = Map<number, Partial<Record<Aggregate, PointValue>>>

/**
 * The server sums integers in 64 bits and says nothing when they overflow, and has no mean of numbers whose sum no double
 * holds: where that might be, they are summed here.
 */
async function exact(asking: Asking, one: FoundSeries, windows: Windows, span: Span, stepMs: number): Promise<Windows> {
  if (!isNumeric(one.type)) return windows
  for (const [window, values] of windows) {
    if (one.type === 'integer' ? isInIntegers(values) : Number.isFinite(values.sum ?? 0)) continue
    const [from, to] = [window, window + 1].map((number) => ({ ms: number * stepMs, ns: 0 }))
    if (from === undefined || to === undefined) continue
    const summed = await fold(asking, one, { from: later(span.from, from), to: earlier(span.to, to) }, stepMs)
    if (summed !== undefined) windows.set(window, summed)
  }
  return windows
}

/** No sum of these leaves 64 bits. */
function isInIntegers({ count = 0, min = 0, max = 0 }: Partial<Record<Aggregate, PointValue>>): boolean {
  const [least, most] = [BigInt(min), BigInt(max)]
  return BigInt(count) * (-least > most ? -least : most) <= MAX_INTEGER
}

/** The one window that a span lies in, made of its points. */
async function fold({ reader, bucket, signal }: Asking, one: FoundSeries, span: Span, stepMs: number) {
  const folded = new WindowFold(one.type, stepMs, undefined)
  let from = span.from
  for (let rows = HELD_ROWS; rows === HELD_ROWS && compareInstants(from, span.to) < 0;) {
    rows = 0
    const onRow: OnRow = (table, cells) => {
      const time = parseTime(cellOf(table, cells, '_time'))
      folded.add(time.ms, parseValue(one.type, cellOf(table, cells, '_value')))
      from = justBehind(time)
      rows++
    }
    await reader.ask(pointsOfMany({ bucket, series: [one], from, to: span.to }, HELD_ROWS), onRow, signal)
  }
  const { found } = folded.finish(one, true)
  if (found === undefined) return undefined
  const { count, sum, mean } = found.columns
  const ends = (['first', 'last', 'min', 'max'] as const).map((name) => {
    const column = found.columns[name]
    return [name, column === undefined ? 0 : valueAt(column, 0, one.type)] as const
  })
  return {
    ...Object.fromEntries(ends),
    count: count?.[0] ?? 0,
    sum: sum?.[0] ?? 0,
    ...(mean && { mean: mean[0] ?? 0 }),
  }
}

function toWindows({ device, stream, field, type }: FoundSeries, windows: Windows, stepMs: number): ScannedSeries {
  const order = [...windows].sort(([a], [b]) => a - b)
  const column = (name: Aggregate) =>
    toColumn(
      type,
      order.map(([, values]) => values[name] ?? 0),
    )
  const numbers = (name: Aggregate) => Float64Array.from(order, ([, values]) => Number(values[name] ?? 0))
  const ends = { count: numbers('count'), first: column('first'), last: column('last') }
  const ms = Float64Array.from(order, ([window]) => window * stepMs)
  const name = { device, stream, field, type, ms, ns: undefined }
  if (!isNumeric(type)) return { ...name, columns: ends }
  const columns = { ...ends, min: column('min'), max: column('max'), sum: numbers('sum') }
  if (columns.sum.every(Number.isFinite)) return { ...name, columns }
  const mean = columns.sum.map((sum, row) => Number(order[row]?.[1].mean ?? sum / (columns.count[row] ?? 1)))
  return { ...name, columns: { ...columns, mean } }
}

function keyOfRow(...[table, cells]: Parameters<OnRow>): string {
  const [device, measurement, key] = ['device', '_measurement', '_field'].map((name) => cellOf(table, cells, name))
  return `${readName(device ?? '')}\n${measurement}\n${key}`
}

function add(held: Map<string, Rows>, key: string, time: Instant, value: PointValue): void {
  const known = held.get(key)
  if (known === undefined) held.set(key, { times: [time], values: [value] })
  else {
    known.times.push(time)
    known.values.push(value)
  }
}
