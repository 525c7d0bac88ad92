import type { FieldType, Instant } from '../../telemetry.ts'
import { typeAfter } from '../aggregate.ts'
import { askedSeries } from '../asked-series.ts'
import type { CheckedQuery, Place } from '../cursor.ts'
import { fitting, PAGE_CHARACTERS } from '../page-text.ts'
import type { KnownSeries, SeriesPoints } from '../port.ts'
import { ALL_TIME, type Selection } from './flux.ts'
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
    const some = rest.slice(0, resumed === undefined ? seriesAtOnce(left) : 1)
    rest = rest.slice(some.length)
    const from = resumed === undefined ? selection.from : later(selection.from, resumed.time)
    const part = { ...selection, from, to: range.to ?? ALL_TIME.to }
    const found = await read(reader, part, some, aggregate, left + 1)
    for (const { field, type, key } of some) {
      const { times, values } = found.get(key) ?? { times: [], values: [] }
      const { count, left: roomLeft } = fitting(values, left, room)
      if (count > 0) {
        const typeNow = aggregate === undefined ? type : typeAfter(aggregate.function, type)
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

function seriesAtOnce(left: number): number {
  return Math.max(1, Math.floor(READ_AHEAD_ROWS / (left + 1)))
}

async function read(
  reader: InfluxReader,
  part: Omit<Selection, 'keys'>,
  some: readonly StoredSeries[],
  aggregate: CheckedQuery['aggregate'],
  limit: number,
): Promise<ReadonlyMap<string, FieldPoints>> {
  if (isEmpty(part)) return new Map()
  const types = new Map(some.map(({ key, type }): [string, FieldType] => [key, type]))
  const selection = { ...part, keys: [...types.keys()] }
  return aggregate === undefined ? reader.points(selection, limit) : reader.windows(selection, types, aggregate, limit)
}
