import { isDeepStrictEqual } from 'node:util'
import { SluiceError } from '../errors.ts'
import { afterPeople, type Layers } from '../layers.ts'
import { checkMeaning, readMeaning, type FieldMeaning, type MeaningChange } from './meaning.ts'

/** What a meaning in force was put together from. */
export interface MeaningSources {
  /** What people set, also what files lie over now. */
  readonly set: FieldMeaning
  /** Where in the contracts stands what they say, by its name. */
  readonly files: Readonly<Record<string, string>>
  /** Who set the rest, by its name. */
  readonly by: Readonly<Record<string, string>>
}

export interface Declaration {
  /** In force. */
  readonly meaning: FieldMeaning
  readonly sources: MeaningSources
}

/** What contracts say of a field, and where each part of it stands. */
export interface Contract {
  readonly meaning: FieldMeaning
  readonly places: Readonly<Record<string, string>>
}

export const NOTHING: Declaration = { meaning: {}, sources: { set: {}, files: {}, by: {} } }

/**
 * What holds when somebody changes this; undefined where nothing changes. Errors: `contract_in_force` for what a contract
 * says, `bad_request`.
 */
export function afterChange(
  before: Declaration = NOTHING,
  change: MeaningChange,
  who: string,
): Declaration | undefined {
  const entries = Object.entries({ ...before.meaning, ...change }).filter(([, value]) => value !== null)
  const wanted = new Map<string, unknown>(entries.filter(([, value]) => value !== undefined))
  const refuse = (name: string, place: string) => new SluiceError('contract_in_force', `${name} is set by ${place}`)
  const { set, by } = afterPeople(layersOf(before), wanted, who, refuse)
  const meaning = checkMeaning(Object.fromEntries(wanted))
  const sources = { set: Object.fromEntries(set), files: before.sources.files, by }
  return isDeepStrictEqual(sources, before.sources) ? undefined : { meaning, sources }
}

/**
 * What holds when contracts say this over what people set, which comes back where they say nothing any more; undefined
 * where nothing changes. Error: `contract_invalid` where both together mean nothing.
 */
export function afterContracts(before: Declaration = NOTHING, { meaning, places }: Contract): Declaration | undefined {
  const { set, by } = before.sources
  const together = readMeaning({ ...set, ...meaning }, (name = '', problem) => {
    const place = places[name] ?? Object.values(places)[0] ?? ''
    throw new SluiceError('contract_invalid', `${place}: ${name} ${problem}, together with what people set`)
  })
  const isSame = isDeepStrictEqual(places, before.sources.files) && isDeepStrictEqual(together, before.meaning)
  return isSame ? undefined : { meaning: together, sources: { set, files: places, by } }
}

/** Whether values are stored alike by both: they differ in what is shown alone. */
export function storesAlike(a: FieldMeaning, b: FieldMeaning): boolean {
  const stored = ({ type = 'float', min, max, outside = 'mark', required = false }: FieldMeaning) => {
    return [type, min, max, outside, required]
  }
  return isDeepStrictEqual(stored(a), stored(b))
}

function layersOf({ meaning, sources: { set, files, by } }: Declaration): Layers {
  return { inForce: new Map(Object.entries(meaning)), set: new Map(Object.entries(set)), files, by }
}
