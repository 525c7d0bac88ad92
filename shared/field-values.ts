import type { FieldValue } from './registry/port.ts'
import type { FieldType, PointValue } from './telemetry.ts'

/**
 * A value of the latest state as JSON: time, type, value. What JSON cannot hold of a number (integers beyond 2^53, -0,
 * NaN) is text.
 */
export type StoredValue = readonly [ms: number, ns: number, type: FieldType, value: string | number | boolean]

export function encodeFieldValue({ time, type, value }: FieldValue): StoredValue {
  return [time.ms, time.ns, type, encodeValue(value)]
}

/** Inverse of {@link encodeFieldValue}. */
export function decodeFieldValue([ms, ns, type, value]: StoredValue): FieldValue {
  return { time: { ms, ns }, type, value: decodeValue(type, value) }
}

function encodeValue(value: PointValue): string | number | boolean {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'number') return value
  if (Object.is(value, -0)) return '-0'
  return Number.isFinite(value) ? value : String(value)
}

function decodeValue(type: FieldType, value: string | number | boolean): PointValue {
  if (typeof value !== 'string' || type === 'string') return value
  return type === 'integer' ? BigInt(value) : Number(value)
}
