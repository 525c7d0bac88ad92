import type { FieldType } from '../telemetry.ts'
import type { Aggregate } from './port.ts'

export function isNumeric(type: FieldType): boolean {
  return type === 'float' || type === 'integer'
}

/** What a series is after an aggregate. */
export function typeAfter(aggregate: Aggregate, type: FieldType): FieldType {
  if (aggregate === 'count') return 'integer'
  return aggregate === 'mean' || aggregate === 'sum' ? 'float' : type
}

/** True for an aggregate that a type has. */
export function canAggregate(aggregate: Aggregate, type: FieldType): boolean {
  return isNumeric(type) || aggregate === 'count' || aggregate === 'first' || aggregate === 'last'
}
