import type { FieldType, PointValue } from '../../telemetry.ts'
import type { FieldState } from '../port.ts'

/** A field of a stream's state as it is stored: name, ms, ns, type, value. */
type StoredField = readonly [field: string, ms: number, ns: number, type: FieldType, value: string | number | boolean]

/** The fields of a stream's state as JSON text. What JSON cannot hold of a number (-0, NaN, 2^53 + 1) is a string. */
export function encodeFields(fields: Readonly<Record<string, FieldState>>): string {
  const stored = Object.entries(fields).map(([field, { time, value, type }]): StoredField => {
    return [field, time.ms, time.ns, type, encodeValue(value)]
  })
  return JSON.stringify(stored)
}

/** Inverse of {@link encodeFields}. */
export function decodeFields(text: string): Record<string, FieldState> {
  const stored = JSON.parse(text) as readonly StoredField[] // our own text
  return Object.fromEntries(
    stored.map(([field, ms, ns, type, value]) => [field, { time: { ms, ns }, type, value: decodeValue(type, value) }]),
  )
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
