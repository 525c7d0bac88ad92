import { compareInstants, type Instant } from '../../telemetry.ts'
import { compareCodePoints } from '../../text-order.ts'
import { join, type Joined } from '../joined.ts'
import type { PointScan, PointStore, ScanEnd, ScannedSeries } from '../port.ts'
import {
  checkScan,
  compareScanSeries,
  encodeScanCursor,
  placeBehind,
  placeOfDevice,
  type CheckedScan,
  type ScanPlace,
  type ScanSeries,
} from '../scan-check.ts'
import { toScanned } from '../scan-columns.ts'
import { ScanMeter } from '../scan-meter.ts'
import { areStorable } from './names.ts'
import { later, type InfluxReader } from './reader.ts'
import {
  HELD_ROWS,
  justBehind,
  keyOf,
  readBoth,
  readPoints,
  readWindows,
  type Asking,
  type FoundSeries,
  type Span,
} from './scan-reader.ts'
import { findSeries } from './scan-search.ts'

/** Devices that one search names: each is a part of its predicate. */
const DEVICES_AT_ONCE = 100

/** Series that are read at once; the first time, and at most. */
const FIRST_SERIES = 16
const MAX_SERIES = 256

type Wanted = Joined<FoundSeries>

/** Columns of a window. */
const WINDOW_ROWS = 6

export interface BucketScan {
  readonly reader: InfluxReader
  readonly bucket: string
  /** Makes a request when its turn comes. */
  ask<T>(work: () => Promise<T>): Promise<T>
  /** Nothing before it is seen. */
  keptFrom(): Promise<Instant>
}

/** Some rows of series in order, and the place behind them. */
interface Portion {
  readonly series: readonly ScannedSeries[]
  readonly behind: ScanPlace
}

/**
 * A scan in requests for many series each, of which at most {@link HELD_ROWS} rows are held; nothing is asked for before the
 * last batch is taken.
 */
export async function* scanBucket(parts: BucketScan, scan: PointScan): ReturnType<PointStore['scan']> {
  const checked = checkScan(scan)
  const until = performance.now() + checked.budget.ms
  const meter = new ScanMeter(checked.budget)
  const end = (by: ScanEnd['by'], at?: ScanPlace): ScanEnd => {
    return { kind: 'end', by, next: at && encodeScanCursor(scan, at), spent: meter.spent }
  }
  let place = checked.resume
  try {
    const wanted = () => checked.budget.points - meter.spent.points + 1
    for await (const { series, behind } of portions(parts, checked, scan.signal, wanted)) {
      const { series: fitting, cut } = meter.take(series)
      if (fitting.length > 0) yield { kind: 'batch', series: fitting }
      if (cut !== undefined) return yield end(cut.by, cut.at)
      place = behind
      if (scan.signal?.aborted === true) return yield end('signal', place)
      if (performance.now() >= until) return yield end('ms', place)
    }
  } catch (error) {
    if (scan.signal?.aborted !== true) throw error
    return yield end('signal', place)
  }
  yield end('all')
}

/** Everything, group by group. */
async function* portions(
  parts: BucketScan,
  scan: CheckedScan,
  signal: AbortSignal | undefined,
  wanted: () => number,
): AsyncGenerator<Portion> {
  const lists = [scan.devices, scan.streams, scan.fields, scan.kinds]
  if (!areStorable(scan.tenant) || lists.some((list) => list?.length === 0)) return
  const span = { from: later(scan.from, await parts.ask(() => parts.keptFrom())), to: scan.to }
  if (compareInstants(span.from, span.to) >= 0) return
  let place = scan.resume
  const groups = deviceGroups(scan)
  for (const [index, devices] of groups.entries()) {
    for (let isAll = false; !isAll;) {
      const from = place
      const some = await parts.ask(() => findSeries({ ...parts, signal }, scan, devices, from, span))
      isAll = some.isAll
      const series = join(some.found, scan.joined, isSameField)
      for await (const portion of read(parts, scan, signal, series, place, span, wanted)) {
        place = portion.behind
        yield portion
      }
    }
    const next = devices?.at(-1)
    if (index === groups.length - 1) return
    // Nothing of these devices is left, also where there was nothing.
    if (next !== undefined && compareCodePoints(next, place.device) > 0) place = placeOfDevice(next)
    yield { series: [], behind: place }
  }
}

function deviceGroups({ devices, resume }: CheckedScan): (readonly string[] | undefined)[] {
  if (devices === undefined) return [undefined]
  const left = devices.filter((device) => compareCodePoints(device, resume.device) >= 0 && areStorable('a', device))
  const groups: string[][] = []
  for (let at = 0; at < left.length; at += DEVICES_AT_ONCE) groups.push(left.slice(at, at + DEVICES_AT_ONCE))
  return groups
}

/** The points or windows of series, some series at a time: as many as fit, going by those before. */
async function* read(
  parts: BucketScan,
  scan: CheckedScan,
  signal: AbortSignal | undefined,
  all: readonly Wanted[],
  resume: ScanPlace,
  span: Span,
  wanted: () => number,
): AsyncGenerator<Portion> {
  let rest = all
  let size = FIRST_SERIES
  let place = resume
  while (rest[0] !== undefined) {
    // One that is gone on with starts later than the others.
    const isResumed = compareScanSeries(nameOf(rest[0]), place) === 0
    const part = { from: isResumed ? later(span.from, place.time) : span.from, to: span.to }
    const some = rest.slice(0, isResumed ? 1 : togetherAtOnce(rest, size))
    const most = Math.floor(HELD_ROWS / some.length / (scan.stepMs === undefined ? 1 : WINDOW_ROWS))
    const limit = Math.max(1, Math.min(most, wanted()))
    const found = await parts.ask(() => readSome({ ...parts, signal }, some, part, scan.stepMs, limit))
    if (found === undefined) {
      size = Math.max(1, size >> 2)
      continue
    }
    const lengths = some.map(({ parts: [one] }) => found.rows.get(keyOf(one))?.ms.length ?? 0)
    // The first one that may go on: those behind it have to wait.
    const long = found.isCut ? 0 : lengths.findIndex((rows) => rows >= limit)
    const done = long < 0 ? some.length : long + 1
    const series = some.slice(0, done).flatMap(({ parts: [one] }) => found.rows.get(keyOf(one)) ?? [])
    const end = some[done - 1]
    if (end === undefined) return
    const last = nameOf(end)
    place = long < 0 ? placeBehind(last) : { ...placeBehind(last), time: nextTime(series.at(-1), scan.stepMs) }
    rest = rest.slice(long < 0 ? done : long)
    if (long >= 0 && !isResumed) size = Math.max(1, size >> 1)
    else if (Math.max(...lengths) * 4 < most) size = Math.min(MAX_SERIES, size * 4)
    yield { series, behind: place }
  }
}

/** Rows by {@link keyOf}; undefined when they are too long to be held together. */
async function readSome(
  asking: Asking,
  wanted: readonly Wanted[],
  span: Span,
  stepMs: number | undefined,
  limit: number,
): Promise<{ rows: ReadonlyMap<string, ScannedSeries>; isCut: boolean } | undefined> {
  if (compareInstants(span.from, span.to) >= 0) return { rows: new Map(), isCut: false }
  const some = wanted.flatMap(({ parts }) => parts)
  const [first, second] = some
  if (wanted.length === 1 && first !== undefined && second !== undefined) {
    const both = await readBoth(asking, [first, second], span, stepMs, limit)
    return { rows: new Map(both && [[keyOf(first), both]]), isCut: false }
  }
  if (stepMs !== undefined) return { rows: await readWindows(asking, some, span, stepMs, limit), isCut: false }
  const read = await readPoints(asking, some, span, limit)
  if (read === undefined) return undefined
  const found = some.flatMap((one): [string, ScannedSeries][] => {
    const rows = read.held.get(keyOf(one))
    if (rows === undefined) return []
    const { times, values } = rows
    const columns = { ms: times.map(({ ms }) => ms), ns: times.map(({ ns }) => ns), values }
    return [[keyOf(one), toScanned(one, columns)]]
  })
  return { rows: new Map(found), isCut: read.isCut }
}

/** How many of the first series are read at once: those of two parts alone. */
function togetherAtOnce(rest: readonly Wanted[], most: number): number {
  const two = rest.findIndex(({ parts }) => parts.length > 1)
  return two < 0 ? most : Math.max(1, Math.min(two, most))
}

function isSameField(a: FoundSeries, b: FoundSeries): boolean {
  return a.field === b.field && a.measurement === b.measurement && a.device === b.device
}

function nameOf({ parts: [one], type }: Wanted): ScanSeries {
  return { device: one.device, stream: one.stream, field: one.field, type }
}

function nextTime(series: ScannedSeries | undefined, stepMs: number | undefined): Instant {
  const row = (series?.ms.length ?? 0) - 1
  const [ms, ns] = [series?.ms[row] ?? 0, series?.ns?.[row] ?? 0]
  return stepMs === undefined ? justBehind({ ms, ns }) : { ms: ms + stepMs, ns: 0 }
}
