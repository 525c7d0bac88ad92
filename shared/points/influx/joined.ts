// Floats and integers of a field are two fields of InfluxDB, of types that no query brings together: they are merged here.
import { compareInstants, fromNanoseconds, toNanoseconds, type Instant, type PointValue } from '../../telemetry.ts'
import { namesPoint } from '../aggregate.ts'
import type { CheckedQuery } from '../cursor.ts'
import { ExactSum } from '../exact-sum.ts'
import type { FieldPoints } from './reader.ts'

/** Points of each of the two that are read at once. */
const AT_ONCE = 10_000

interface Span {
  readonly from: Instant
  readonly to: Instant
}

/** The first `limit` points of two series within a span, or as many as there are. */
export type ReadBoth = (span: Span, limit: number) => Promise<readonly [counting: FieldPoints, other: FieldPoints]>

/** The points of two series as those of one, in time order: of a time that both have the first one's point counts. */
export async function* joinedPoints(read: ReadBoth, { from, to }: Span, limit: number): AsyncGenerator<FieldPoints> {
  const atOnce = Math.min(limit, AT_ONCE)
  for (let start = from; compareInstants(start, to) < 0;) {
    const both = await read({ from: start, to }, atOnce)
    // What of the one lies behind the end of the other, where that was cut, is read again.
    const ends = both.filter(({ times }) => times.length >= atOnce).map(({ times }) => times.at(-1) ?? to)
    const until = ends.reduce((a, b) => (compareInstants(a, b) <= 0 ? a : b), to)
    const points = merged(both, until)
    if (points.times.length > 0) yield points
    if (ends.length === 0) return
    start = fromNanoseconds(toNanoseconds(until) + 1n)
  }
}

/** The points up to a time. */
function merged([a, b]: readonly [FieldPoints, FieldPoints], until: Instant): FieldPoints {
  const found: FieldPoints = { times: [], values: [] }
  let [i, j] = [0, 0]
  for (;;) {
    const order = orderOf(a.times[i], b.times[j])
    const [from, index] = order <= 0 ? [a, i] : [b, j]
    const [time, value] = [from.times[index], from.values[index]]
    if (time === undefined || value === undefined || compareInstants(time, until) > 0) return found
    found.times.push(time)
    found.values.push(value)
    if (order <= 0) i++
    if (order >= 0) j++
  }
}

/** Which of two comes first; none comes last. */
function orderOf(a: Instant | undefined, b: Instant | undefined): number {
  if (a === undefined) return 1
  if (b === undefined) return -1
  return compareInstants(a, b)
}

/** Numbers in time order as windows of an aggregate, as the port has them. */
export class JoinedFold {
  readonly windows: FieldPoints = { times: [], values: [] }
  readonly #aggregate: NonNullable<CheckedQuery['aggregate']>
  #open: { key: number; count: number; sum: ExactSum; time: Instant; value: PointValue } | undefined

  constructor(aggregate: NonNullable<CheckedQuery['aggregate']>) {
    this.#aggregate = aggregate
  }

  add(time: Instant, value: PointValue): void {
    const { intervalMs } = this.#aggregate
    const key = intervalMs === undefined ? 0 : Math.floor(time.ms / intervalMs)
    if (this.#open !== undefined && this.#open.key !== key) this.end()
    const isFirst = this.#open === undefined
    const open = (this.#open ??= { key, count: 0, sum: new ExactSum(), time, value })
    open.count++
    open.sum.addInteger(value as number | bigint)
    if (isFirst || !this.#isTaken(value, open.value)) return
    open.value = value
    if (namesPoint(this.#aggregate.function)) open.time = time
  }

  end(): void {
    if (this.#open === undefined) return
    const { key, count, sum, time, value } = this.#open
    const { function: name, intervalMs } = this.#aggregate
    const results: Partial<Record<string, PointValue>> = { count, sum: sum.total(), mean: sum.mean(count) }
    this.windows.times.push(intervalMs === undefined ? time : { ms: key * intervalMs, ns: 0 })
    this.windows.values.push(results[name] ?? value)
    this.#open = undefined
  }

  #isTaken(value: PointValue, before: PointValue): boolean {
    const { function: name } = this.#aggregate
    return name === 'last' || (name === 'min' && value < before) || (name === 'max' && value > before)
  }
}
