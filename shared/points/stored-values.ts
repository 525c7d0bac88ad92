import {
  compareInstants,
  fromNanoseconds,
  kindOf,
  MAX_INSTANT,
  toNanoseconds,
  type Instant,
  type Kind,
  type PointBatch,
  type PointValue,
} from '../telemetry.ts'
import type { PointStore } from './port.ts'

/** The most that a question may have in its answer; and for each time that it is about, so that little is read in vain. */
const PAGE = 10_000
const POINTS_PER_TIME = 100

type Points = Pick<PointStore, 'query'>

interface Stream {
  readonly tenant: string
  readonly device: string
  readonly stream: string
}

/**
 * What the store has in the place of each point of the batch: of the same device, stream, field, kind and time. Undefined:
 * nothing. Asks by stream for spans, and for each time alone where a span holds too much: for what is rare. Errors: those of
 * the store.
 */
export async function storedValues(points: Points, batch: PointBatch): Promise<(PointValue | undefined)[]> {
  const { series, values } = batch
  const streams = new Map<string, { readonly stream: Stream; readonly times: Map<string, Instant> }>()
  for (const [i, { tenant, device, stream }] of series.entries()) {
    const key = JSON.stringify([tenant, device, stream])
    const known = streams.get(key) ?? { stream: { tenant, device, stream }, times: new Map<string, Instant>() }
    streams.set(key, known)
    const time = timeOf(batch, i)
    known.times.set(timeKey(time), time)
  }
  const found = new Map<string, PointValue>()
  for (const { stream, times } of streams.values()) {
    await collect(points, stream, [...times.values()].sort(compareInstants), found)
  }
  return values.map((_, i) => found.get(identityOf(batch, i)))
}

/** What tells a point from all others. */
export function identityOf(batch: PointBatch, i: number): string {
  const one = batch.series[i]
  if (one === undefined) throw new RangeError(`no point ${i} among ${batch.series.length}`)
  return placeOf(one, one.field, kindOf(one.type), timeOf(batch, i))
}

/** Whether a store that was given one of them answers with the other. */
export function isSameValue(a: PointValue, b: PointValue): boolean {
  if (a === b) return true
  // A double stands for an integer that none holds; where it was declared an integer both are exact.
  return typeof a !== typeof b && isNumber(a) && isNumber(b) && Number(a) === Number(b)
}

function isNumber(value: PointValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** Everything that the stream has at these times, which ascend. */
async function collect(
  points: Points,
  stream: Stream,
  times: readonly Instant[],
  found: Map<string, PointValue>,
): Promise<void> {
  const [first, last] = [times[0], times.at(-1)]
  if (first === undefined || last === undefined) return
  const limit = Math.min(PAGE, POINTS_PER_TIME * times.length)
  const range = { ...stream, from: first, ...(isLast(last) ? {} : { to: behind(last) }), limit }
  for (let cursor: string | undefined; ;) {
    const page = await points.query({ ...range, ...(cursor === undefined ? {} : { cursor }) })
    if (page.next !== undefined && times.length > 1) {
      const middle = Math.ceil(times.length / 2)
      await collect(points, stream, times.slice(0, middle), found)
      return collect(points, stream, times.slice(middle), found)
    }
    for (const { field, type, times: at, values } of page.series) {
      for (const [i, value] of values.entries()) {
        const time = at[i]
        if (time !== undefined) found.set(placeOf(stream, field, kindOf(type), time), value)
      }
    }
    cursor = page.next
    if (cursor === undefined) return
  }
}

function placeOf({ tenant, device, stream }: Stream, field: string, kind: Kind, time: Instant): string {
  return JSON.stringify([tenant, device, stream, field, kind, timeKey(time)])
}

function timeKey({ ms, ns }: Instant): string {
  return `${ms} ${ns}`
}

function timeOf({ ms, ns }: PointBatch, i: number): Instant {
  return { ms: ms[i] ?? 0, ns: ns[i] ?? 0 }
}

function isLast(time: Instant): boolean {
  return compareInstants(time, MAX_INSTANT) >= 0
}

function behind(time: Instant): Instant {
  return fromNanoseconds(toNanoseconds(time) + 1n)
}
