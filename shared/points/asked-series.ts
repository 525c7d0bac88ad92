import { SluiceError } from '../errors.ts'
import { kindOf } from '../telemetry.ts'
import { compareText } from '../text-order.ts'
import { canAggregate } from './aggregate.ts'
import type { CheckedQuery } from './cursor.ts'
import { join, orderOf, type Joined } from './joined.ts'
import type { KnownSeries, SeriesType } from './port.ts'

/** Order in which series are answered: by stream and field, in code units, and type. */
export function compareSeries(a: KnownSeries, b: KnownSeries): number {
  return compareText(a.stream, b.stream) || compareText(a.field, b.field) || orderOf(a.type) - orderOf(b.type)
}

/**
 * Which of the series of a stream a query is about, in order, and which its aggregate leaves out. Error: `bad_request`
 * when one field or kind was asked for that has no such aggregate.
 */
export function askedSeries<T extends KnownSeries>(
  { range, kind, joined, aggregate, resume }: CheckedQuery,
  known: readonly T[],
): { asked: (Joined<T> & { field: string })[]; leftOut: KnownSeries[] } {
  const inQuestion = known.filter(({ field, type }) => {
    return (range.field === undefined || field === range.field) && (kind === undefined || kindOf(type) === kind)
  })
  const isDefined = ({ type }: KnownSeries) => aggregate === undefined || canAggregate(aggregate.function, type)
  const leftOut = inQuestion.filter((one) => !isDefined(one))
  const asked = inQuestion.filter(isDefined).sort(compareSeries)
  const [wrong] = leftOut
  if (wrong !== undefined && asked.length === 0 && (range.field !== undefined || kind !== undefined)) {
    const detail = `aggregate: ${aggregate?.function} is not defined for ${wrong.field}, a ${wrong.type} field`
    throw new SluiceError('bad_request', detail)
  }
  const all = join(asked, joined, (a, b) => a.field === b.field).map((one) => ({ ...one, field: one.parts[0].field }))
  const isLeft = ({ field, type }: { field: string; type: SeriesType }): boolean =>
    resume === undefined || (compareText(field, resume.field) || orderOf(type) - orderOf(resume.type)) >= 0
  return { asked: all.filter(isLeft), leftOut: leftOut.map(({ stream, field, type }) => ({ stream, field, type })) }
}
