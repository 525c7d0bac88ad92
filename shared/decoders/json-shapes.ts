import { SYNTAX, type JsonScanner } from './json-scanner.ts'
import { unescape } from './json-text.ts'

/** Elements of a list of plain values that become fields of their own. */
export const MAX_LISTED = 16

/**
 * What a list holds: plain values, few enough to be fields; readings, of which the first says its time; values that each
 * say what they are called. Undefined: nothing that could be told apart as fields.
 */
export type ListShape = 'plain' | 'readings' | 'named' | undefined

/** What a payload that is an array holds, when it is no array of readings: SenML is RFC 8428. */
export type ArrayShape = 'senml' | 'named' | 'plain' | undefined

/** One member of an object, and where its value begins. */
export interface Member {
  readonly key: string
  readonly at: number
}

/**
 * Where an element says what its value is called, the most telling first: sensor.community (value_type), King Pigeon
 * (flag), TagoIO (variable), Kepware and OPC (id).
 */
const NAME_KEYS = ['name', 'n', 'value_type', 'variable', 'flag', 'tag', 'key', 'id', 'channel', 'sensor']
const VALUE_KEYS = ['value', 'v', 'val', 'switcher', 'str']
const READING_TIME_KEYS = ['ts', 'time', 'timestamp', 'tst', 'dateTime', 'datetime', 'Time', 'UTC']
export const ITEM_TIME_KEYS: ReadonlySet<string> = new Set([...READING_TIME_KEYS, 't', 'addTime', 'addtime'])
/** With any other key the elements of a payload are readings. */
const ITEM_KEYS: ReadonlySet<string> = new Set([...NAME_KEYS, ...VALUE_KEYS, ...ITEM_TIME_KEYS, 'q', 'quality', 'unit'])
const SENML_VALUES = ['v', 'vs', 'vb', 'vd', 's']
const SENML_KEYS: ReadonlySet<string> = new Set('bn bt bu bv bs bver n u t ut'.split(' ').concat(SENML_VALUES))

/** By length and first byte, whether some key is that of an item or of SenML. */
const LONGEST = 16
const KEYS_OF_ITEMS = new Uint8Array(LONGEST * 256)
for (const key of [...ITEM_KEYS, ...SENML_KEYS]) KEYS_OF_ITEMS[key.length * 256 + key.charCodeAt(0)] = 1

const QUOTE = 0x22
const COMMA = 0x2c
const ARRAY = 0x5b
const ARRAY_END = 0x5d
const NULL = 0x6e
const OBJECT = 0x7b
const OBJECT_END = 0x7d

/** Looks ahead at lists, to tell what they hold. Only payloads with lists pay for it: a pass over each. */
export class JsonShapes {
  readonly #scanner: JsonScanner
  /** Behind the list or object that was looked at last, or SYNTAX. */
  end = 0
  /** Elements of the list that was looked at last. */
  count = 0

  constructor(scanner: JsonScanner) {
    this.#scanner = scanner
  }

  /** The list within a reading whose opening bracket is at `position`. */
  list(position: number): ListShape {
    let plain = 0
    let named = 0
    let valued = 0
    let objects = 0
    let isTimed = false
    this.#each(position, (at, members) => {
      if (members === undefined) plain += this.#isPlain(at) ? 1 : 0
      else {
        if (this.nameOf(members) !== undefined) named += 1
        if (this.valueOf(members) !== undefined) valued += 1
        if (objects === 0) isTimed = members.some((one) => READING_TIME_KEYS.includes(one.key) && this.#isSaid(one))
        objects += 1
      }
      return true
    })
    if (this.end < 0 || (plain !== this.count && objects !== this.count)) return undefined
    if (plain === this.count) return plain <= MAX_LISTED ? 'plain' : undefined
    if (named === objects && valued > 0) return 'named'
    return isTimed ? 'readings' : undefined
  }

  /** The payload whose opening bracket is at `position`. Stops at the first key that only a reading has. */
  array(position: number): ArrayShape {
    if (this.#beginsWithReading(position)) return undefined
    let plain = 0
    let named = 0
    let valued = 0
    let hasName = false
    let isSenml = true
    this.#each(
      position,
      (at, members) => {
        if (members === undefined) {
          isSenml = false
          plain += this.#isPlain(at) ? 1 : 0
          return plain === this.count + 1 && plain <= MAX_LISTED
        }
        hasName ||= members.some(({ key }) => key === 'n' || key === 'bn')
        if (members.some(({ key }) => SENML_VALUES.includes(key))) valued += 1
        if (members.some(({ key }) => !SENML_KEYS.has(key))) isSenml = false
        if (this.nameOf(members) !== undefined && this.valueOf(members) !== undefined) named += 1
        return plain === 0 && (isSenml || named === this.count + 1)
      },
      (key) => SENML_KEYS.has(key) || ITEM_KEYS.has(key),
    )
    if (this.end < 0 || this.count === 0) return undefined
    if (plain === this.count) return 'plain'
    if (isSenml && hasName && valued > 0) return 'senml'
    return named === this.count ? 'named' : undefined
  }

  /**
   * True when the first element has a key that only a reading has, as nearly every array does; told by the keys' lengths and
   * first bytes, so that it costs no string. False where that tells nothing.
   */
  #beginsWithReading(position: number): boolean {
    const scanner = this.#scanner
    const buffer = scanner.buffer
    let at = scanner.space(position + 1)
    if (buffer[at] !== OBJECT) return false
    do {
      at = scanner.space(at + 1)
      if (buffer[at] !== QUOTE) return false
      const start = at + 1
      const end = scanner.string(start)
      if (end < 0) return false
      const length = end - start
      if (length >= LONGEST || KEYS_OF_ITEMS[length * 256 + (buffer[start] ?? 0)] === 0) return !scanner.escaped
      at = scanner.colon(end + 1)
      if (at < 0) return false
      at = scanner.skip(at)
      if (at < 0) return false
      at = scanner.space(at)
    } while (buffer[at] === COMMA)
    return false
  }

  /** The members of the object whose opening brace is at `position`; undefined where it is no JSON, or has a key too many. */
  members(position: number, isWanted?: (key: string) => boolean): Member[] | undefined {
    const scanner = this.#scanner
    const members: Member[] = []
    let at = scanner.space(position + 1)
    if (scanner.buffer[at] === OBJECT_END) {
      this.end = at + 1
      return members
    }
    for (;;) {
      const key = this.#key(at)
      if (key === undefined || isWanted?.(key) === false) return undefined
      at = scanner.colon(this.end + 1)
      if (at < 0) return undefined
      members.push({ key, at })
      at = scanner.skip(at)
      if (at < 0) return undefined
      at = scanner.space(at)
      if (scanner.buffer[at] === OBJECT_END) break
      if (scanner.buffer[at] !== COMMA) return undefined
      at = scanner.space(at + 1)
    }
    this.end = at + 1
    return members
  }

  /** The member that says what the value of the element is called: a text or a number. */
  nameOf(members: readonly Member[]): Member | undefined {
    return find(members, NAME_KEYS, (one) => {
      const first = this.#first(one.at)
      return first === QUOTE || isNumeric(first)
    })
  }

  /** The member with the value of the element. */
  valueOf(members: readonly Member[]): Member | undefined {
    return find(members, VALUE_KEYS, (one) => this.#isPlain(one.at))
  }

  #key(position: number): string | undefined {
    const scanner = this.#scanner
    if (scanner.buffer[position] !== QUOTE) return undefined
    const end = scanner.string(position + 1)
    if (end < 0) return undefined
    this.end = end
    const text = scanner.text(position + 1, end)
    return scanner.escaped ? unescape(text) : text
  }

  /** Sets `count` and `end`: SYNTAX too when it stops early, because `look` or a key says so. */
  #each(
    position: number,
    look: (at: number, members: readonly Member[] | undefined) => boolean,
    isWanted?: (key: string) => boolean,
  ): void {
    const scanner = this.#scanner
    this.count = 0
    let at = scanner.space(position + 1)
    if (scanner.buffer[at] === ARRAY_END) {
      this.end = at + 1
      return
    }
    for (;;) {
      let members: Member[] | undefined
      let end: number
      if (scanner.buffer[at] === OBJECT) {
        members = this.members(at, isWanted)
        end = members === undefined ? SYNTAX : this.end
      } else end = scanner.skip(at)
      this.end = -1
      if (end < 0 || !look(at, members)) return
      this.count += 1
      at = scanner.space(end)
      if (scanner.buffer[at] === ARRAY_END) break
      if (scanner.buffer[at] !== COMMA) return
      at = scanner.space(at + 1)
    }
    this.end = at + 1
  }

  #first(at: number): number {
    return this.#scanner.buffer[at] ?? 0
  }

  #isPlain(at: number): boolean {
    const first = this.#first(at)
    return first !== OBJECT && first !== ARRAY
  }

  #isSaid({ at }: Member): boolean {
    const first = this.#first(at)
    return first === QUOTE ? this.#first(at + 1) !== QUOTE : isNumeric(first) && first !== NULL
  }
}

function isNumeric(byte: number): boolean {
  return byte === 0x2d || (byte >= 0x30 && byte <= 0x39)
}

function find(
  members: readonly Member[],
  keys: readonly string[],
  fits: (member: Member) => boolean,
): Member | undefined {
  for (const key of keys) {
    const found = members.find((one) => one.key === key && fits(one))
    if (found !== undefined) return found
  }
  return undefined
}
