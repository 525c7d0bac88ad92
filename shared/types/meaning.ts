import { SluiceError } from '../errors.ts'
import type { WorkerFeature } from '../features.ts'
import type { PointValue } from '../telemetry.ts'

/** What numbers of a field are: doubles, or whole numbers of 64 bits, which are exact. */
export type NumberType = 'float' | 'integer'

/** What is declared of a field. Nothing of it has to be. */
export interface FieldMeaning {
  readonly type?: NumberType
  /** As people write it, such as `°C`. */
  readonly unit?: string
  /** For people, beside the name of the field. */
  readonly name?: string
  /** The least and the greatest number, both inclusive. */
  readonly min?: number
  readonly max?: number
  /** What becomes of a number outside of them; `mark` where it is not said. */
  readonly outside?: Outside
  /** Every reading of the stream has the field. */
  readonly required?: boolean
  /** Seconds from one reading with the field to the next. */
  readonly interval?: number
}

/** Refused, as a fault of its message, or stored with a note. */
export type Outside = 'fault' | 'mark'

export type MeaningName = keyof FieldMeaning

/** What somebody changes of a field: what is left out stays, null takes it back. */
export type MeaningChange = { readonly [K in MeaningName]?: FieldMeaning[K] | null }

interface Declarable {
  /** What is taken, for a person. */
  readonly takes: string
  readonly allows: (value: unknown) => boolean
}

const MAX_UNIT = 64
const MAX_DISPLAY_NAME = 256
/** A year. */
const MAX_INTERVAL = 366 * 86_400

/** In the order in which they are shown. */
const MEANINGS: Readonly<Record<MeaningName, Declarable>> = {
  type: { takes: 'integer or float', allows: (value) => value === 'integer' || value === 'float' },
  unit: { takes: `a text of 1 to ${MAX_UNIT} characters`, allows: (value) => isShown(value, MAX_UNIT) },
  name: { takes: `a text of 1 to ${MAX_DISPLAY_NAME} characters`, allows: (value) => isShown(value, MAX_DISPLAY_NAME) },
  min: { takes: 'a number', allows: Number.isFinite },
  max: { takes: 'a number', allows: Number.isFinite },
  outside: { takes: 'fault or mark', allows: (value) => value === 'fault' || value === 'mark' },
  required: { takes: 'true or false', allows: (value) => typeof value === 'boolean' },
  interval: {
    takes: `seconds, more than 0 and at most ${MAX_INTERVAL}`,
    allows: (value) => typeof value === 'number' && value > 0 && value <= MAX_INTERVAL,
  },
}

export const MEANING_NAMES = Object.keys(MEANINGS) as readonly MeaningName[]

/** Ends the reading of something that is no meaning: which part of it, if it is one, and why. */
export type FailMeaning = (name: string | undefined, problem: string) => never

/** The meaning that `value`, which was read from JSON or YAML, is; `fail` is called where it is none. */
export function readMeaning(value: unknown, fail: FailMeaning): FieldMeaning {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail(undefined, `is no mapping of ${MEANING_NAMES.join(', ')}`)
  }
  const given = value as Readonly<Record<string, unknown>>
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(MEANINGS, name))
  if (unknown !== undefined) fail(unknown, `cannot be declared; there are ${MEANING_NAMES.join(', ')}`)
  const named = MEANING_NAMES.filter((name) => given[name] !== undefined)
  for (const name of named) {
    if (!MEANINGS[name].allows(given[name])) fail(name, `is ${shown(given[name])}: it must be ${MEANINGS[name].takes}`)
  }
  const meaning: FieldMeaning = Object.fromEntries(named.map((name) => [name, given[name]]))
  const { min, max, outside } = meaning
  if (min !== undefined && max !== undefined && min > max) fail('min', `is ${min}, above max, which is ${max}`)
  if (outside !== undefined && min === undefined && max === undefined) fail('outside', 'needs min or max')
  return meaning
}

/** Error: `bad_request`, naming what is wrong. */
export function checkMeaning(value: unknown): FieldMeaning {
  return readMeaning(value, (name, problem) => {
    throw new SluiceError('bad_request', `${name ?? 'the declaration'} ${problem}`)
  })
}

/** What workers must know before it may be in force. */
export function featuresOf({ type, min, max, required }: FieldMeaning): readonly WorkerFeature[] {
  const ofRange = min !== undefined || max !== undefined || required === true
  return [
    ...(type === 'integer' ? (['declared-types'] as const) : []),
    ...(ofRange ? (['declared-ranges'] as const) : []),
  ]
}

/** Why the number is outside of what was declared; undefined for one that is not, and for what is no number. */
export function outsideOf({ min, max }: FieldMeaning, value: PointValue): string | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined
  if (min !== undefined && value < min) return `${value} is below the declared min ${min}`
  if (max !== undefined && value > max) return `${value} is above the declared max ${max}`
  return undefined
}

function isShown(value: unknown, most: number): boolean {
  if (typeof value !== 'string' || !value.isWellFormed() || /\p{Cc}/u.test(value)) return false
  return value.trim() !== '' && value.length <= most
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 100)
}
