import type { ErrorCode } from '../../shared/errors.ts'
import { fromNanoseconds, MAX_INSTANT, toNanoseconds, type FieldType, type Instant } from '../../shared/telemetry.ts'

/**
 * What each payload becomes, written for reading instead of speed: grammar and text by JSON.parse, order, duplicates and
 * the source text of numbers by a regular expression over what JSON.parse took, times by BigInt and Date.parse.
 * The decoder is held against this; the two share no code.
 */
export interface Outcome {
  readonly points: readonly (readonly [
    element: number,
    field: string,
    type: FieldType,
    ms: number,
    ns: number,
    value: unknown,
  ])[]
  readonly faults: readonly (readonly [element: number | null, path: string | null, code: ErrorCode])[]
  readonly suspects: readonly number[]
  readonly nulls: number
}

/** A JSON value with what JSON.parse forgets: members in order, repeated ones too, and numbers as written. */
type Tree =
  | { readonly kind: 'object'; readonly members: readonly (readonly [key: string, value: Tree])[] }
  | { readonly kind: 'array'; readonly elements: readonly Tree[] }
  | { readonly kind: 'number' | 'string'; readonly text: string }
  | { readonly kind: 'true' | 'false' | 'null' }

type Leaf = readonly [field: string, type: FieldType, value: number | bigint | boolean | string]

class Refused extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode) {
    super(code)
    this.code = code
  }
}

export function referenceDecode(payload: Uint8Array, received: Instant, wideIntegers = false): Outcome {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload)
  } catch {
    return whole('payload_not_utf8')
  }
  if (/^[ \t\r\n]*$/.test(text)) return whole('payload_empty')
  try {
    JSON.parse(text)
  } catch {
    return whole('payload_not_json')
  }
  const tree = treeOf(text)
  const readings = tree.kind === 'array' ? tree.elements : [tree]
  if (readings.length === 0) return whole('payload_empty')
  if (readings.length > 10_000) return whole('payload_too_many_readings')
  const outcome = {
    points: [] as Outcome['points'][number][],
    faults: [] as Outcome['faults'][number][],
    suspects: [] as number[],
    nulls: 0,
  }
  for (const [element, reading] of readings.entries()) {
    try {
      const { leaves, faults, time, nulls } = readingOf(reading, wideIntegers)
      for (const [path, code] of faults) outcome.faults.push([element, path, code])
      if (leaves.length === 0) continue
      const at = time ?? fromNanoseconds(toNanoseconds(received) + BigInt(element))
      for (const [field, type, value] of leaves) outcome.points.push([element, field, type, at.ms, at.ns, value])
      if (time !== undefined && (time.ms < Date.UTC(2000, 0) || time.ms > received.ms + 86_400_000))
        outcome.suspects.push(element)
      outcome.nulls += nulls
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      outcome.faults.push([element, null, error.code])
    }
  }
  return outcome
}

function whole(code: ErrorCode): Outcome {
  return { points: [], faults: [[null, null, code]], suspects: [], nulls: 0 }
}

/** The text is known to be JSON, so that every token is where it belongs. */
function treeOf(text: string): Tree {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[-+.\deE]+|true|false|null|[{}[\]:,]/gu) ?? []
  let next = 0
  const value = (): Tree => {
    const token = tokens[next++] ?? ''
    if (token === '{') {
      const members: [string, Tree][] = []
      while (tokens[next] !== '}') {
        if (tokens[next] === ',') next++
        const key = JSON.parse(tokens[next] ?? '') as string
        next += 2
        members.push([key, value()])
      }
      next++
      return { kind: 'object', members }
    }
    if (token === '[') {
      const elements: Tree[] = []
      while (tokens[next] !== ']') {
        if (tokens[next] === ',') next++
        elements.push(value())
      }
      next++
      return { kind: 'array', elements }
    }
    if (token.startsWith('"')) return { kind: 'string', text: JSON.parse(token) as string }
    if (token === 'true' || token === 'false' || token === 'null') return { kind: token }
    return { kind: 'number', text: token }
  }
  return value()
}

type FieldFault = readonly [path: string, code: ErrorCode]

/** Throws what refuses the reading as a whole. */
function readingOf(
  reading: Tree,
  wideIntegers: boolean,
): { leaves: Leaf[]; faults: FieldFault[]; time: Instant | undefined; nulls: number } {
  if (reading.kind !== 'object') throw new Refused('reading_not_object')
  const leaves: Leaf[] = []
  const faults: FieldFault[] = []
  const names = new Set<string>()
  let time: Instant | undefined
  let nulls = 0
  const walk = (
    object: Tree & { kind: 'object' },
    prefix: string,
    place: 'top' | 'values' | 'nested',
    depth: number,
  ): void => {
    const keys = new Set<string>()
    for (const [key, value] of object.members) {
      if (place === 'top' && ['ts', 'time', 'timestamp'].includes(key)) {
        if (value.kind === 'null') nulls += 1
        else if (value.kind !== 'number' && value.kind !== 'string') throw new Refused('time_invalid')
        else if (time !== undefined) throw new Refused('time_invalid')
        else time = value.kind === 'number' ? numberTime(value.text) : textTime(value.text)
        continue
      }
      const isEnvelope = place === 'top' && key === 'values'
      const name = prefix + key
      try {
        if (!isEnvelope) checkName(key, name)
        if (keys.has(key)) throw new Refused('field_duplicate')
        keys.add(key)
        if (value.kind === 'object') {
          if (depth >= 32) throw new Refused('payload_too_deep')
          if (isEnvelope) walk(value, '', 'values', depth + 1)
          else walk(value, `${name}.`, 'nested', depth + 1)
          continue
        }
        if (names.has(name)) throw new Refused('field_duplicate')
        names.add(name)
        if (names.size > 1000) throw new Refused('reading_too_wide')
        if (value.kind === 'array') throw new Refused('value_unsupported')
        if (value.kind === 'null') nulls += 1
        else leaves.push(leafOf(name, value, wideIntegers))
      } catch (error) {
        if (!(error instanceof Refused) || error.code.startsWith('time_')) throw error
        faults.push([name, error.code])
      }
    }
  }
  walk(reading, '', 'top', 1)
  if (leaves.length === 0 && faults.length === 0) throw new Refused('reading_empty')
  return { leaves, faults, time, nulls }
}

function checkName(key: string, name: string): void {
  const bytes = new TextEncoder().encode(name).length
  if (key === '' || bytes > 256 || /\p{Cc}|\p{Cs}/u.test(name)) throw new Refused('field_name_invalid')
  if (name === 'time' || name.startsWith('_')) throw new Refused('field_name_reserved')
}

function leafOf(
  name: string,
  value: Exclude<Tree, { kind: 'object' | 'array' | 'null' }>,
  wideIntegers: boolean,
): Leaf {
  if (value.kind === 'string') {
    if (/\p{Cs}/u.test(value.text)) throw new Refused('value_unsupported')
    if (new TextEncoder().encode(value.text).length > 16_384) throw new Refused('value_too_long')
    return [name, 'string', value.text]
  }
  if (value.kind !== 'number') return [name, 'boolean', value.kind === 'true']
  const number = Number(value.text)
  if (!Number.isFinite(number)) throw new Refused('value_out_of_range')
  const [, integer] = /^(-?\d+)(?:\.0+)?$/.exec(value.text) ?? []
  if (integer !== undefined && BigInt(number) !== BigInt(integer)) {
    const exact = BigInt(integer)
    if (!wideIntegers || BigInt.asIntN(64, exact) !== exact) throw new Refused('value_not_exact')
    return [name, 'float', exact]
  }
  return [name, 'float', number]
}

/** Digits as one integer and a power of ten; everything else is shifting. */
function numberTime(text: string): Instant {
  const [, sign = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text) ?? []
  const digits = BigInt(whole + fraction)
  if (digits === 0n) return { ms: 0, ns: 0 }
  if (sign !== '') throw new Refused('time_out_of_range')
  const exponent = Number(power) - fraction.length
  const size = digits.toString().length + exponent
  const unit = [11, 14, 17].findIndex((limit) => size <= limit)
  const shift = exponent + ([9, 6, 3][unit] ?? 0)
  if (size > 19) throw new Refused('time_out_of_range')
  // A fraction too small to matter: the power would not fit the memory.
  if (size < -20) return { ms: 0, ns: 0 }
  return storable(shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift))
}

function textTime(text: string): Instant {
  const match = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d+))?(.*)$/su.exec(text)
  if (match === null) throw new Refused('time_invalid')
  const [, date = '', minute = '', second = '', fraction = '', zone = ''] = match
  const start = Date.parse(`${date}T${minute}:00Z`)
  const day = Number(date.slice(8))
  if (Number.isNaN(start) || new Date(start).getUTCDate() !== day || minute.startsWith('24') || Number(second) > 60) {
    throw new Refused('time_invalid')
  }
  if (zone === '') throw new Refused('time_without_zone')
  const offset = /^(?:[Zz]|([-+])([01]\d|2[0-3]):([0-5]\d))$/.exec(zone)
  if (offset === null) throw new Refused('time_invalid')
  if (date < '1969') throw new Refused('time_out_of_range')
  const minutes = Number(offset[2] ?? 0) * 60 + Number(offset[3] ?? 0)
  const utc = start - (offset[1] === '-' ? -minutes : minutes) * 60_000
  if (second === '60' && !new Date(utc).toISOString().includes('T23:59')) throw new Refused('time_invalid')
  const nanoseconds = BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  return storable((BigInt(utc) + BigInt(second) * 1000n) * 1_000_000n + nanoseconds)
}

function storable(nanoseconds: bigint): Instant {
  if (nanoseconds < 0n || nanoseconds > toNanoseconds(MAX_INSTANT)) throw new Refused('time_out_of_range')
  return fromNanoseconds(nanoseconds)
}
