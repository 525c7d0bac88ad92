import { SluiceError } from '../errors.ts'
import { kindOf, type FieldType } from '../telemetry.ts'
import type { Aggregate, SeriesType } from './port.ts'

export function isNumeric(type: SeriesType): boolean {
  return kindOf(type) === 'number'
}

/** What a series is after an aggregate. */
export function typeAfter(aggregate: Aggregate, type: SeriesType): SeriesType {
  if (aggregate === 'count') return 'integer'
  return aggregate === 'mean' || aggregate === 'sum' ? 'float' : type
}

/** True for an aggregate that a type has. */
export function canAggregate(aggregate: Aggregate, type: SeriesType): boolean {
  return isNumeric(type) || aggregate === 'count' || aggregate === 'first' || aggregate === 'last'
}

/** True for an aggregate whose value is that of one of the points, so that it has a time of its own. */
export function namesPoint(aggregate: Aggregate): boolean {
  return aggregate === 'first' || aggregate === 'last' || aggregate === 'min' || aggregate === 'max'
}

/** The type of a series that was not asked for joined. */
export function storedType(type: SeriesType): FieldType {
  if (type === 'number') throw new SluiceError('internal', 'a series of floats and integers is none that is stored')
  return type
}
