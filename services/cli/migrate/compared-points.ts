import { createHash, type Hash } from 'node:crypto'
import { storedType } from '../../../shared/points/aggregate.ts'
import type { DeviceOfPoints, PointStore } from '../../../shared/points/port.ts'
import {
  compareInstants,
  FIELD_TYPES,
  formatInstant,
  type FieldType,
  type Instant,
  type PointValue,
} from '../../../shared/telemetry.ts'
import { compareText } from '../../../shared/text-order.ts'
import type { Comparison, Differences, Step } from './migration-ports.ts'
import { devicesOf, pagesOf, streamsOf, type StreamOfDevice } from './moved-points.ts'

/** Devices compared at the same time: the servers answer several questions as fast as one. */
const AT_ONCE = 4

export interface ComparedPoints extends Comparison {
  readonly series: number
  /** Points of these streams that only the target has: it has run since, or somebody wrote there before. */
  readonly more: number
}

/** One series on both sides. */
interface SeriesTotals {
  readonly name: readonly string[]
  readonly source: { count: number; readonly hash: Hash }
  readonly target: { count: number; readonly hash: Hash }
}

/**
 * Reads every point back and compares it with the source's: per series, over time and value in time order. Points that
 * only the target has are counted apart and are no difference.
 */
export async function comparePoints(step: Step, differences: Differences): Promise<ComparedPoints> {
  const sums = { source: createHash('sha256'), target: createHash('sha256') }
  const counts = { source: 0, target: 0, series: 0, more: 0 }
  for await (const page of devicesOf(step.source.points, undefined)) {
    for (let from = 0; from < page.length; from += AT_ONCE) {
      const compared = await Promise.all(page.slice(from, from + AT_ONCE).map((device) => compareDevice(step, device)))
      for (const { series, more } of compared) {
        counts.more += more
        for (const one of series) addSeries(one, counts, sums, differences)
      }
      step.onProgress(() => `points: ${counts.source} compared`)
    }
  }
  const total = (side: 'source' | 'target') => ({ count: counts[side], checksum: sums[side].digest('base64url') })
  return { what: 'points', series: counts.series, more: counts.more, source: total('source'), target: total('target') }
}

function addSeries(
  { name, source, target }: SeriesTotals,
  counts: { source: number; target: number; series: number },
  sums: Readonly<Record<'source' | 'target', Hash>>,
  differences: Differences,
): void {
  const [before, after] = [source.hash.digest('base64url'), target.hash.digest('base64url')]
  counts.series += 1
  counts.source += source.count
  counts.target += target.count
  sums.source.update(`${JSON.stringify([...name, source.count, before])}\n`)
  sums.target.update(`${JSON.stringify([...name, target.count, after])}\n`)
  if (source.count === target.count && before === after) return
  const what = source.count === target.count ? 'other values' : `${target.count} of ${source.count} points`
  differences.add(`series ${name.join(' ')}: the cluster has ${what}`)
}

async function compareDevice(step: Step, device: DeviceOfPoints): Promise<{ series: SeriesTotals[]; more: number }> {
  const series: SeriesTotals[] = []
  let more = 0
  for (const stream of await streamsOf(step.source.points, device)) {
    more += await compareStream(step, stream, (field, type) => {
      const name = [device.tenant, device.device, stream.stream, field, type]
      const added = { name, source: newTotal(), target: newTotal() }
      series.push(added)
      return added
    })
  }
  return { series, more }
}

/** Both sides come field by field, each in time order. Returns how many points only the target has. */
async function compareStream(
  { source, target, signal }: Step,
  stream: StreamOfDevice,
  begin: (field: string, type: FieldType) => SeriesTotals,
): Promise<number> {
  const ours = new PointReader(source.points, stream, signal)
  const theirs = new PointReader(target.points, stream, signal)
  let series: SeriesTotals | undefined
  let more = 0
  let other = await theirs.next()
  for (let one = await ours.next(); one !== undefined; one = await ours.next()) {
    if (series?.name[3] !== one.field || series.name[4] !== one.type) series = begin(one.field, one.type)
    while (other !== undefined && comparePlaces(other, one) < 0) {
      more += 1
      other = await theirs.next()
    }
    count(series.source, one)
    if (other === undefined || comparePlaces(other, one) !== 0) continue
    count(series.target, other)
    other = await theirs.next()
  }
  for (; other !== undefined; other = await theirs.next()) more += 1
  return more
}

interface Point {
  readonly field: string
  readonly type: FieldType
  readonly time: Instant
  readonly value: PointValue
}

/** The points of a stream, one by one. */
class PointReader {
  readonly #pages: ReturnType<typeof pagesOf>
  #points: readonly Point[] = []
  #at = 0

  constructor(store: PointStore, stream: StreamOfDevice, signal: AbortSignal) {
    this.#pages = pagesOf(store, stream, signal)
  }

  async next(): Promise<Point | undefined> {
    while (this.#at >= this.#points.length) {
      const page = await this.#pages.next()
      if (page.done === true) return undefined
      this.#points = page.value.series.flatMap(({ field, type, times, values }) =>
        times.map((time, index) => ({ field, type: storedType(type), time, value: values[index] ?? '' })),
      )
      this.#at = 0
    }
    return this.#points[this.#at++]
  }
}

function newTotal(): SeriesTotals['source'] {
  return { count: 0, hash: createHash('sha256') }
}

function count(total: SeriesTotals['source'], { time, type, value }: Point): void {
  total.count += 1
  total.hash.update(`${formatInstant(time)} ${type} ${valueText(type, value)}\n`)
}

/** The same text for the same value, in whichever form a store gives it. */
function valueText(type: FieldType, value: PointValue): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (type === 'integer' && typeof value === 'number') return String(BigInt(value))
  return Object.is(value, -0) ? '-0' : String(value)
}

/** In the order in which both stores give the points of a stream. */
function comparePlaces(a: Point, b: Point): number {
  const byType = FIELD_TYPES.indexOf(a.type) - FIELD_TYPES.indexOf(b.type)
  return compareText(a.field, b.field) || byType || compareInstants(a.time, b.time)
}
