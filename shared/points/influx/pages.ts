import type { FieldType, Instant } from '../../telemetry.ts'
import { typeAfter } from '../aggregate.ts'
import { askedSeries } from '../asked-series.ts'
import type { CheckedQuery, Place } from '../cursor.ts'
import type { Joined } from '../joined.ts'
import { fitting, PAGE_CHARACTERS } from '../page-text.ts'
import type { KnownSeries, SeriesPoints } from '../port.ts'
import { ALL_TIME, type Selection } from './flux.ts'
import { JoinedFold, joinedPoints, type ReadBoth } from './joined.ts'
import { areStorable } from './names.ts'
import { isEmpty, later, type FieldPoints, type InfluxReader, type StoredSeries } from './reader.ts'

/** Rows that one request may bring beyond what the page takes of them: with few fields all of them come at once. */
const READ_AHEAD_ROWS = 50_000

interface Answer {
  readonly series: readonly SeriesPoints[]
  /** Where the limit cut. */
  readonly next: Place | undefined
  readonly leftOut: readonly KnownSeries[]
}

/** Answers a query: series by series in their order, up to the limit. Nothing before `keptFrom` is seen. */
export async function readPage(
  reader: InfluxReader,
  bucket: string,
  query: CheckedQuery,
  keptFrom: Instant,
): Promise<Answer> {
  const { range, limit, aggregate, resume } = query
  const { tenant, device, stream } = range
  if (!areStorable(tenant, device, stream)) return { series: [], next: undefined, leftOut: [] }
  const { asked, leftOut } = askedSeries(query, await reader.series(tenant, device, stream))
  const selection = { bucket, tenant, device, stream, from: later(range.from ?? ALL_TIME.from, keptFrom) }
  const series: SeriesPoints[] = []
  let left = limit
  let room = PAGE_CHARACTERS
  let rest = asked
  while (rest.length > 0) {
    // The series that a cursor points into starts later than the others.
    const isResumed = rest[0]?.field === resume?.field && rest[0]?.type === resume?.type
    const resumed = isResumed ? resume : undefined
    const some = rest.slice(0, resumed === undefined ? togetherAtOnce(rest, left) : 1)
    rest = rest.slice(some.length)
    const from = resumed === undefined ? selection.from : later(selection.from, resumed.time)
    const part = { ...selection, from, to: range.to ?? ALL_TIME.to }
    const found = await read(reader, part, some, aggregate, left + 1)
    for (const { field, type, answered, parts } of some) {
      const { times, values } = found.get(parts[0].key) ?? { times: [], values: [] }
      const { count, left: roomLeft } = fitting(values, left, room)
      if (count > 0) {
        const typeNow = aggregate === undefined ? answered : typeAfter(aggregate.function, answered)
        series.push({ stream, field, type: typeNow, times: times.slice(0, count), values: values.slice(0, count) })
      }
      const time = times[count]
      if (time !== undefined) return { series, next: { field, type, time }, leftOut }
      left -= count
      room = roomLeft
    }
  }
  return { series, next: undefined, leftOut }
}

/** How many of the first series are read at once: those of two parts alone. */
function togetherAtOnce(rest: readonly Joined<StoredSeries>[], left: number): number {
  const two = rest.findIndex(({ parts }) => parts.length > 1)
  const most = Math.max(1, Math.floor(READ_AHEAD_ROWS / (left + 1)))
  return two < 0 ? most : Math.max(1, Math.min(two, most))
}

/** By the key of the first part. */
async function read(
  reader: InfluxReader,
  part: Omit<Selection, 'keys'>,
  some: readonly Joined<StoredSeries>[],
  aggregate: CheckedQuery['aggregate'],
  limit: number,
): Promise<ReadonlyMap<string, FieldPoints>> {
  if (isEmpty(part)) return new Map()
  const stored = some.flatMap(({ parts }) => parts)
  const [first, second] = stored
  if (some.length === 1 && first !== undefined && second !== undefined) {
    return new Map([[first.key, await readBoth(reader, part, [first.key, second.key], aggregate, limit)]])
  }
  const types = new Map(stored.map(({ key, type }): [string, FieldType] => [key, type]))
  const selection = { ...part, keys: [...types.keys()] }
  return aggregate === undefined ? reader.points(selection, limit) : reader.windows(selection, types, aggregate, limit)
}

/** At least `limit` points or windows of two series, if there are as many. */
async function readBoth(
  reader: InfluxReader,
  part: Omit<Selection, 'keys'>,
  keys: readonly [string, string],
  aggregate: CheckedQuery['aggregate'],
  limit: number,
): Promise<FieldPoints> {
  const points: ReadBoth = async (span, most) => {
    const found = await reader.points({ ...part, ...span, keys }, most)
    const of = (key: string): FieldPoints => found.get(key) ?? { times: [], values: [] }
    return [of(keys[0]), of(keys[1])]
  }
  const all: FieldPoints = { times: [], values: [] }
  const fold = aggregate && new JoinedFold(aggregate)
  for await (const { times, values } of joinedPoints(points, part, aggregate === undefined ? limit : Infinity)) {
    times.forEach((time, i) => {
      const value = values[i] ?? 0
      if (fold !== undefined) return fold.add(time, value)
      all.times.push(time)
      all.values.push(value)
    })
    if ((fold?.windows ?? all).times.length >= limit) break
  }
  fold?.end()
  return fold?.windows ?? all
}
