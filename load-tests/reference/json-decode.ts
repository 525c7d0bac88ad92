import type { ErrorCode } from '../../shared/errors.ts'
import { fromNanoseconds, toNanoseconds, type FieldType, type Instant } from '../../shared/telemetry.ts'
import { ReadingTime } from './json-times.ts'
import { checkName, Refused, treeOf, type ArrayTree, type ObjectTree, type Place, type Tree } from './json-tree.ts'

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
  readonly suspects: readonly (readonly [element: number, code: ErrorCode])[]
  readonly nulls: number
}

type Leaf = readonly [
  field: string,
  type: FieldType,
  value: number | bigint | boolean | string,
  at: Instant | undefined,
]

export function referenceDecode(payload: Uint8Array, received: Instant): Outcome {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(payload).replace(/[ \t\r\n\0]+$/, '')
  } catch {
    return whole('payload_not_utf8')
  }
  if (/^[ \t\r\n]*$/.test(text)) return whole('payload_empty')
  const json = text.replaceAll(
    /("(?:[^"\\]|\\.)*")|-?(?:nan|inf(?:inity)?)/gi,
    (_, string?: string) => string ?? 'null',
  )
  try {
    JSON.parse(json)
  } catch {
    return textOutcome(text.replace(/^[ \t\r\n]+/, ''), received)
  }
  const tree = treeOf(json)
  const isPlain = (one: Tree) => one.kind !== 'object' && one.kind !== 'array'
  if (isPlain(tree)) return outcomeOf([nameless(tree)], received)
  const elements = tree.kind === 'array' ? tree.elements : [tree]
  if (elements.length === 0) return whole('payload_empty')
  if (elements.length <= 16 && elements.every(isPlain)) return outcomeOf([nameless(tree)], received)
  return elements.length > 10_000 ? whole('payload_too_many_readings') : outcomeOf(elements, received)
}

function nameless(value: Tree): Tree {
  return { kind: 'object', members: [['value', value]] }
}

/** What is no JSON: one line, or nothing. */
function textOutcome(text: string, received: Instant): Outcome {
  const isLine = !/^[{[<]/.test(text) && !/[^\P{Cc}\t]/u.test(text) && new TextEncoder().encode(text).length <= 256
  return isLine ? outcomeOf([nameless({ kind: 'string', text })], received) : whole('payload_not_json')
}

function outcomeOf(readings: readonly Tree[], received: Instant): Outcome {
  const outcome = {
    points: [] as Outcome['points'][number][],
    faults: [] as Outcome['faults'][number][],
    suspects: [] as Outcome['suspects'][number][],
    nulls: 0,
  }
  for (const [element, reading] of readings.entries()) {
    try {
      const { leaves, faults, time, nulls, doubt, isNested } = readingOf(reading, received)
      const at = time ?? fromNanoseconds(toNanoseconds(received) + BigInt(element))
      const taken = new Set<string>()
      for (const [path, code] of faults) outcome.faults.push([element, path, code])
      for (const [field, type, value, own] of leaves) {
        const { ms, ns } = own ?? at
        const identity = JSON.stringify([field, type, ms, ns])
        if (isNested && taken.has(identity)) outcome.faults.push([element, field, 'field_duplicate'])
        else outcome.points.push([element, field, type, ms, ns, value])
        taken.add(identity)
      }
      if (leaves.length === 0 && faults.length > 0) continue
      if (doubt !== undefined && leaves.length > 0) outcome.suspects.push([element, doubt])
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

type FieldFault = readonly [path: string, code: ErrorCode]

interface Read {
  readonly leaves: readonly Leaf[]
  readonly faults: readonly FieldFault[]
  readonly time: Instant | undefined
  readonly nulls: number
  readonly doubt: ErrorCode | undefined
  readonly isNested: boolean
}

/** Throws what refuses the reading as a whole. */
function readingOf(reading: Tree, received: Instant): Read {
  if (reading.kind !== 'object') throw new Refused('reading_not_object')
  const state = {
    leaves: [] as Leaf[],
    faults: [] as FieldFault[],
    nulls: 0,
    isNested: false,
    doubts: [] as ErrorCode[],
  }
  const time = readingInto(state, reading, '', 1, received)
  if (state.leaves.length + state.faults.length + state.nulls === 0) throw new Refused('reading_empty')
  return { ...state, time, doubt: state.doubts[0] }
}

interface State {
  readonly leaves: Leaf[]
  readonly faults: FieldFault[]
  readonly doubts: ErrorCode[]
  nulls: number
  isNested: boolean
}

/** Gives the time of the reading; what is said of nested ones comes before what is said of it. */
function readingInto(
  state: State,
  reading: ObjectTree,
  start: string,
  level: number,
  received: Instant,
): Instant | undefined {
  const names = new Set<string>()
  const time = new ReadingTime(received)
  const add = (name: string, value: Exclude<Tree, { kind: 'object' | 'array' }>) => {
    if (value.kind === 'null') state.nulls += 1
    else state.leaves.push(leafOf(name, value))
  }
  const list = (
    key: string,
    name: string,
    tree: ArrayTree,
    below: string,
    isEnvelope: boolean,
    depth: number,
  ): void => {
    const { elements } = tree
    if (elements.every(({ kind }) => kind !== 'object' && kind !== 'array')) {
      if (elements.length > 16) throw new Refused('list_left_out')
      for (const [i, one] of elements.entries()) {
        member(isEnvelope ? `${key}.${i}` : String(i), one, isEnvelope ? start : below, 'nested', depth + 1, new Set())
      }
      return
    }
    const [first] = elements
    if (!elements.every(({ kind }) => kind === 'object') || first === undefined || !saysTime(first)) {
      throw new Refused('list_left_out')
    }
    state.isNested = true
    for (const [i, one] of elements.entries()) {
      const from = state.leaves.length
      try {
        const own = readingInto(state, one as ObjectTree, below, depth + 1, received)
        if (i > 0 && own === undefined) throw new Refused('time_not_reserved')
        if (own === undefined) continue
        for (const [at, [field, type, value, known]] of state.leaves.entries()) {
          if (at >= from) state.leaves[at] = [field, type, value, known ?? own]
        }
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        state.leaves.length = from
        state.faults.push([`${name}.${i}`, error.code])
      }
    }
  }
  const member = (key: string, value: Tree, prefix: string, place: Place, depth: number, keys: Set<string>): void => {
    const name = prefix + key
    if (place === 'top' && ['ts', 'time', 'timestamp'].includes(key)) {
      if (value.kind === 'null') state.nulls += 1
      else if (time.isKept(value)) {
        if (names.has(name)) state.faults.push([name, 'field_duplicate'])
        else add(name, value as Tree & { kind: 'string' })
        names.add(name)
      }
      return
    }
    const isEnvelope = place === 'top' && ['values', 'sensordatavalues', 'sensorDatas'].includes(key)
    try {
      checkName(name)
      if (keys.has(key)) throw new Refused('field_duplicate')
      keys.add(key)
      const below = isEnvelope ? prefix : `${name}.`
      if (depth >= 32 && (value.kind === 'object' || value.kind === 'array')) throw new Refused('payload_too_deep')
      if (value.kind === 'object') {
        walk(value, below, isEnvelope ? 'values' : 'nested', depth + 1)
        return
      }
      if (names.has(name)) throw new Refused('field_duplicate')
      names.add(name)
      if (names.size > 1000) throw new Refused('reading_too_wide')
      if (value.kind === 'array') return list(key, name, value, below, isEnvelope, depth)
      if (place === 'top' && ['tst', 'dateTime', 'datetime', 'Time', 'UTC'].includes(key)) time.consider(value)
      add(name, value)
    } catch (error) {
      if (!(error instanceof Refused) || error.code.startsWith('time_')) throw error
      state.faults.push([name, error.code])
    }
  }
  const walk = (object: ObjectTree, prefix: string, place: Place, depth: number): void => {
    const keys = new Set<string>()
    for (const [key, value] of object.members) member(key, value, prefix, place, depth, keys)
  }
  walk(reading, start, 'top', level)
  const found = time.settle()
  if (time.doubt !== undefined) state.doubts.push(time.doubt)
  return found
}

function saysTime(tree: Tree): boolean {
  const keys = ['ts', 'time', 'timestamp', 'tst', 'dateTime', 'datetime', 'Time', 'UTC']
  const isSaid = (value: Tree) => value.kind === 'number' || (value.kind === 'string' && value.text !== '')
  return tree.kind === 'object' && tree.members.some(([key, value]) => keys.includes(key) && isSaid(value))
}

function leafOf(name: string, value: Exclude<Tree, { kind: 'object' | 'array' | 'null' }>): Leaf {
  if (value.kind === 'string') {
    if (/\p{Cs}/u.test(value.text)) throw new Refused('value_unsupported')
    if (new TextEncoder().encode(value.text).length > 16_384) throw new Refused('value_too_long')
    return [name, 'string', value.text, undefined]
  }
  if (value.kind !== 'number') return [name, 'boolean', value.kind === 'true', undefined]
  const number = Number(value.text)
  if (!Number.isFinite(number)) throw new Refused('value_out_of_range')
  const isExact = !/^-?\d+$/.test(value.text) || BigInt(number) === BigInt(value.text)
  return [name, 'float', isExact ? number : BigInt(value.text), undefined]
}
