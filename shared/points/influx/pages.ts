import { SluiceError } from '../../errors.ts'
import type { FieldType, Instant } from '../../telemetry.ts'
import { canAggregate, typeAfter } from '../aggregate.ts'
import type { CheckedQuery, Place } from '../cursor.ts'
import type { SeriesPoints } from '../port.ts'
import { ALL_TIME, type Selection } from './flux.ts'
import { areStorable } from './names.ts'
import { isEmpty, later, type FieldPoints, type InfluxReader } from './reader.ts'

/** Rows that one request may bring beyond what the page takes of them: with few fields all of them come at once. */
const READ_AHEAD_ROWS = 50_000

interface Answer {
  readonly series: readonly SeriesPoints[]
  /** Where the limit cut. */
  readonly next: Place | undefined
}

/** Answers a query: field by field in code unit order, up to the limit. Nothing before `keptFrom` is seen. */
export async function readPage(
  reader: InfluxReader,
  bucket: string,
  query: CheckedQuery,
  keptFrom: Instant,
): Promise<Answer> {
  const { range, limit, aggregate, resume } = query
  const { tenant, device, stream } = range
  if (!areStorable(tenant, device, stream)) return { series: [], next: undefined }
  const known = await reader.fields(tenant, device, stream)
  const wanted = known.filter(({ field }) => range.field === undefined || field === range.field)
  if (aggregate !== undefined) refuseUndefined(aggregate.function, wanted)
  const selection = { bucket, tenant, device, stream, from: later(range.from ?? ALL_TIME.from, keptFrom) }
  const series: SeriesPoints[] = []
  let left = limit
  let rest = wanted.filter(({ field }) => resume === undefined || field >= resume.field)
  while (rest.length > 0) {
    // The field that a cursor points into starts later than the others.
    const resumed = resume !== undefined && rest[0]?.field === resume.field ? resume : undefined
    const some = rest.slice(0, resumed === undefined ? fieldsAtOnce(left) : 1)
    rest = rest.slice(some.length)
    const from = resumed === undefined ? selection.from : later(selection.from, resumed.time)
    const part = { ...selection, from, to: range.to ?? ALL_TIME.to }
    const found = await read(reader, part, some, aggregate, left + 1)
    for (const { field, type } of some) {
      const { times, values } = found.get(field) ?? { times: [], values: [] }
      const count = Math.min(times.length, left)
      if (count > 0) {
        const typeNow = aggregate === undefined ? type : typeAfter(aggregate.function, type)
        series.push({ stream, field, type: typeNow, times: times.slice(0, count), values: values.slice(0, count) })
      }
      const time = times[left]
      if (time !== undefined) return { series, next: { field, time } }
      left -= count
    }
  }
  return { series, next: undefined }
}

function fieldsAtOnce(left: number): number {
  return Math.max(1, Math.floor(READ_AHEAD_ROWS / (left + 1)))
}

async function read(
  reader: InfluxReader,
  part: Omit<Selection, 'fields'>,
  some: readonly { field: string; type: FieldType }[],
  aggregate: CheckedQuery['aggregate'],
  limit: number,
): Promise<ReadonlyMap<string, FieldPoints>> {
  if (isEmpty(part)) return new Map()
  const types = new Map(some.map(({ field, type }) => [field, type]))
  const selection = { ...part, fields: [...types.keys()] }
  return aggregate === undefined ? reader.points(selection, limit) : reader.windows(selection, types, aggregate, limit)
}

function refuseUndefined(
  name: NonNullable<CheckedQuery['aggregate']>['function'],
  fields: readonly { field: string; type: FieldType }[],
): void {
  const wrong = fields.find(({ type }) => !canAggregate(name, type))
  if (wrong === undefined) return
  const detail = `aggregate: ${name} is not defined for ${wrong.field}, a ${wrong.type} field`
  throw new SluiceError('bad_request', detail)
}
