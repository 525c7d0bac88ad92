// Floats and integers of one field lie side by side in every store; whoever asks for them `joined` gets one series of both.
import { FIELD_TYPES, type FieldType } from '../telemetry.ts'
import { isNumeric } from './aggregate.ts'
import type { SeriesType } from './port.ts'

/** One series that is answered, and the stored ones that it is made of: one, or the integers and then the floats of a field. */
export interface Joined<T> {
  readonly parts: readonly [T, ...T[]]
  /** Its place in the order of answers and in cursors: `number` for all numbers where they are joined. */
  readonly type: SeriesType
  /** What it is answered as. */
  readonly answered: SeriesType
}

/** Order of the types of one field. */
export function orderOf(type: SeriesType): number {
  return FIELD_TYPES.indexOf(type === 'number' ? 'integer' : type)
}

/** What a type is in the order of answers. */
export function placeType(type: SeriesType, joined: boolean): SeriesType {
  return joined && isNumeric(type) ? 'number' : type
}

/** Series in order, of which the two of numbers of one field follow each other. */
export function join<T extends { readonly type: FieldType }>(
  ordered: readonly T[],
  joined: boolean,
  isSameField: (a: T, b: T) => boolean,
): Joined<T>[] {
  const found: Joined<T>[] = []
  for (const one of ordered) {
    const last = found.at(-1)
    const isOther = joined && isNumeric(one.type) && last?.type === 'number' && isSameField(last.parts[0], one)
    if (isOther) found[found.length - 1] = { parts: [...last.parts, one], type: 'number', answered: 'number' }
    else found.push({ parts: [one], type: placeType(one.type, joined), answered: one.type })
  }
  return found
}
