import { decodeFieldValue, encodeFieldValue, type StoredValue } from '../../field-values.ts'
import type { FieldState } from '../port.ts'

/** A field of a stream's state as it is stored: name, newest value, and the last number where that is none. */
type StoredField = readonly [field: string, ...StoredValue] | readonly [field: string, ...StoredValue, StoredValue]

/** The fields of a stream's state as JSON text. */
export function encodeFields(fields: Readonly<Record<string, FieldState>>): string {
  const stored = Object.entries(fields).map(([field, newest]): StoredField => {
    const { lastNumber } = newest
    if (lastNumber === undefined) return [field, ...encodeFieldValue(newest)]
    return [field, ...encodeFieldValue(newest), encodeFieldValue(lastNumber)]
  })
  return JSON.stringify(stored)
}

/** Inverse of {@link encodeFields}. */
export function decodeFields(text: string): Record<string, FieldState> {
  const stored = JSON.parse(text) as readonly StoredField[] // our own text
  return Object.fromEntries(
    stored.map(([field, ms, ns, type, value, number]): [string, FieldState] => {
      const lastNumber = number === undefined ? {} : { lastNumber: decodeFieldValue(number) }
      return [field, { ...decodeFieldValue([ms, ns, type, value]), ...lastNumber }]
    }),
  )
}
