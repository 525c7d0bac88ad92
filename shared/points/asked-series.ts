import { SluiceError } from '../errors.ts'
import { FIELD_TYPES, kindOf } from '../telemetry.ts'
import { compareText } from '../text-order.ts'
import { canAggregate } from './aggregate.ts'
import type { CheckedQuery } from './cursor.ts'
import type { KnownSeries } from './port.ts'

/** Order in which series are answered: by stream and field, in code units, and type. */
export function compareSeries(a: KnownSeries, b: KnownSeries): number {
  return (
    compareText(a.stream, b.stream) ||
    compareText(a.field, b.field) ||
    FIELD_TYPES.indexOf(a.type) - FIELD_TYPES.indexOf(b.type)
  )
}

/**
 * Which of the series of a stream a query is about, in order, and which its aggregate leaves out. Error: `bad_request`
 * when one field or kind was asked for that has no such aggregate.
 */
export function askedSeries<T extends KnownSeries>(
  { range, kind, aggregate, resume }: CheckedQuery,
  known: readonly T[],
): { asked: T[]; leftOut: KnownSeries[] } {
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
  const from =
    resume === undefined ? asked : asked.filter((one) => compareSeries(one, { ...resume, stream: one.stream }) >= 0)
  return { asked: from, leftOut: leftOut.map(({ stream, field, type }) => ({ stream, field, type })) }
}
