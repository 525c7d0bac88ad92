import type { FieldType, PointValue } from '../../telemetry.ts'
import type { FieldState, FieldValue } from '../port.ts'

/** A value as it is stored: ms, ns, type, value. */
type StoredValue = readonly [ms: number, ns: number, type: FieldType, value: string | number | boolean]

/** A field of a stream's state as it is stored: name, newest value, and the last number where that is none. */
type StoredField = readonly [field: string, ...StoredValue] | readonly [field: string, ...StoredValue, StoredValue]

/** The fields of a stream's state as JSON text. What JSON cannot hold of a number (-0, NaN, 2^53 + 1) is a string. */
export function encodeFields(fields: Readonly<Record<string, FieldState>>): string {
  const stored = Object.entries(fields).map(([field, newest]): StoredField => {
    const { lastNumber } = newest
    if (lastNumber === undefined) return [field, ...encode(newest)]
    return [field, ...encode(newest), encode(lastNumber)]
  })
  return JSON.stringify(stored)
}

/** Inverse of {@link encodeFields}. */
export function decodeFields(text: string): Record<string, FieldState> {
  const stored = JSON.parse(text) as readonly StoredField[] // our own text
  return Object.fromEntries(
    stored.map(([field, ms, ns, type, value, number]): [string, FieldState] => {
      const lastNumber = number === undefined ? {} : { lastNumber: decode(number) }
      return [field, { ...decode([ms, ns, type, value]), ...lastNumber }]
    }),
  )
}

function encode({ time, type, value }: FieldValue): StoredValue {
  return [time.ms, time.ns, type, encodeValue(value)]
}

function decode([ms, ns, type, value]: StoredValue): FieldValue {
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
