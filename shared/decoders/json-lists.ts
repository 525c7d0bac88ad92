import type { ErrorCode } from '../errors.ts'
import type { FieldNames, Key, Scope } from './field-names.ts'
import { REJECTED, type JsonScanner } from './json-scanner.ts'
import { ITEM_TIME_KEYS, MAX_LISTED, type JsonShapes, type Member } from './json-shapes.ts'
import { quote, stringAt } from './json-text.ts'
import type { JsonTime } from './json-time.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const ARRAY_END = 0x5d

/** What lists need of the reading that they are in. */
export interface ListHost {
  readonly names: FieldNames
  readonly shapes: JsonShapes
  /** Of the reading in progress. */
  readonly time: JsonTime
  member(position: number, key: Key, depth: number): number
  object(position: number, scope: Scope, depth: number): number
  /** Reads one that has a time of its own, or must have one. */
  within(mustHaveTime: boolean, read: () => number): number
  note(path: string, code: ErrorCode, detail: string): void
  readonly detail: string
  readonly code: ErrorCode
}

/** Reads the lists within a reading, by their shape. Functions take positions as those of the reading do. */
export class JsonLists {
  readonly #scanner: JsonScanner
  readonly #host: ListHost

  constructor(scanner: JsonScanner, host: ListHost) {
    this.#scanner = scanner
    this.#host = host
  }

  /** The list that is the value of the key, from its opening bracket. */
  read(position: number, key: Key, depth: number): number {
    const { shapes, names } = this.#host
    const shape = shapes.list(position)
    if (shape === 'plain') return this.#plain(position, key, depth)
    if (shape === undefined) return this.#leaveOut(position, key.name.text)
    const scope = shape === 'named' ? names.below(key) : names.readings(key)
    let index = 0
    return this.#each(position, (at) => {
      const isNamed = shape === 'named'
      const read = () => (isNamed ? this.item(at, scope, depth + 1) : this.#host.object(at + 1, scope, depth + 1))
      const end = this.#host.within(!isNamed && index > 0, read)
      index += 1
      if (end !== REJECTED) return end
      const { code, detail } = this.#host
      this.#host.note(`${key.name.text}.${index - 1}`, code, detail)
      return this.#scanner.skip(at)
    })
  }

  /** An object that says a value and what it is called; whatever else it says becomes a field below that name. */
  item(position: number, scope: Scope, depth: number): number {
    const { shapes, names, time } = this.#host
    const members = shapes.members(position)
    if (members === undefined) return this.#scanner.skip(position)
    const { end } = shapes
    const named = shapes.nameOf(members)
    const key = names.findText(scope, named === undefined ? '' : this.#textOf(named.at))
    const valued = shapes.valueOf(members)
    if (valued !== undefined) this.#host.member(this.#valueAt(valued, named), key, depth)
    for (const one of members) {
      if (one === named || one === valued) continue
      if (ITEM_TIME_KEYS.has(one.key) && time.consider(one.at, `${key.name.text}.${one.key}`)) continue
      this.#host.member(one.at, names.findText(names.below(key), one.key), depth + 1)
    }
    return end
  }

  #plain(position: number, key: Key, depth: number): number {
    const { names } = this.#host
    // What an envelope only wraps has no name without it.
    const [scope, before] = key.role === 'values' ? [key.parent, `${key.text}.`] : [names.below(key), '']
    let index = 0
    return this.#each(position, (at) => this.#host.member(at, names.findText(scope, `${before}${index++}`), depth + 1))
  }

  #leaveOut(position: number, field: string): number {
    const end = this.#scanner.skip(position)
    if (end < 0) return end
    const what = `the list ${quote(field)} holds more than ${MAX_LISTED} values, or objects of no known shape`
    this.#host.note(field, 'list_left_out', what)
    return end
  }

  /** `read` gives the position behind each element. */
  #each(position: number, read: (at: number) => number): number {
    const scanner = this.#scanner
    let at = scanner.space(position + 1)
    if (scanner.buffer[at] === ARRAY_END) return at + 1
    for (;;) {
      at = read(at)
      if (at < 0) return at
      at = scanner.space(at)
      if (scanner.buffer[at] === ARRAY_END) return at + 1
      if (scanner.buffer[at] !== COMMA) return scanner.syntax(at)
      at = scanner.space(at + 1)
    }
  }

  /** Text, or a number as it was written. */
  #textOf(position: number): string {
    const scanner = this.#scanner
    if (scanner.buffer[position] === QUOTE) return stringAt(scanner, position)
    return scanner.text(position, scanner.number(position))
  }

  /** sensor.community writes every number as a text. */
  #valueAt({ at }: Member, named: Member | undefined): number {
    const scanner = this.#scanner
    if (named?.key !== 'value_type' || scanner.buffer[at] !== QUOTE) return at
    const end = scanner.string(at + 1)
    return /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(scanner.text(at + 1, end)) ? at + 1 : at
  }
}
