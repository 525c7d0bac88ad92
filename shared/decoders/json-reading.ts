import type { DecodedColumns } from './decoded.ts'
import type { ErrorCode } from '../errors.ts'
import { Faults } from '../faults.ts'
import { DEFAULT_POLICY, type Policy } from '../policies/settings.ts'
import type { StreamSeries } from './series.ts'
import type { FieldNames, Key, Scope } from './field-names.ts'
import { NamesByKeys } from './names-by-keys.ts'
import { REJECTED, type JsonScanner } from './json-scanner.ts'
import { JsonLists, type ListHost } from './json-lists.ts'
import { JsonShapes } from './json-shapes.ts'
import { quote, repeated, unescape } from './json-text.ts'
import { JsonTime, type Doubt, type Received } from './json-time.ts'
import { JsonValues } from './json-values.ts'
import { PayloadLocals } from './local-order.ts'
import { MAX_ELEMENTS } from '../stamps/reservation.ts'
import type { PointValue } from '../telemetry.ts'

/** Fields in one reading, nulls included. */
export const MAX_FIELDS = 1000
/** Objects and lists within objects, the reading itself included. */
export const MAX_DEPTH = 32

const QUOTE = 0x22
const COMMA = 0x2c
const ARRAY = 0x5b
const OBJECT = 0x7b
const OBJECT_END = 0x7d

/**
 * Reads one reading, an object, into columns. Functions take the position of what they read and return the position
 * behind it, or SYNTAX, or REJECTED with `code` and `detail` set when the whole reading cannot be stored. A field that
 * cannot be is passed over and stands among `faults`.
 */
export class JsonReading implements ListHost {
  time: JsonTime
  /** What is doubtful about the time of the reading, or of one within it. */
  doubt: Doubt | undefined
  /** The reading holds others: its points may meet. */
  isNested = false
  /** Fields of the reading in progress that are refused; undefined while there is none. */
  faults: Faults | undefined
  code: ErrorCode = 'internal'
  detail = ''
  readonly shapes: JsonShapes
  readonly locals = new PayloadLocals()
  readonly #scanner: JsonScanner
  readonly #byKeys = new NamesByKeys()
  names: FieldNames = this.#byKeys.of(DEFAULT_POLICY.time_keys)
  readonly #values: JsonValues
  readonly #lists: JsonLists
  /** Number of the reading in progress: what `seen` of keys and names is compared with. */
  #serial = 0
  #serials = 0
  #fields = 0
  #element = 0
  #received: Received = { ms: 0, ns: 0, scheme: undefined }
  /** Readings within the one in progress. */
  #within = 0

  constructor(scanner: JsonScanner, out: DecodedColumns, series: StreamSeries) {
    this.#scanner = scanner
    this.shapes = new JsonShapes(scanner)
    this.#lists = new JsonLists(scanner, this)
    this.time = new JsonTime(scanner, this.locals)
    this.#values = new JsonValues(scanner, { out, series }, (path, code, detail) => this.note(path, code, detail))
  }

  get nulls(): number {
    return this.#values.nulls
  }

  /** Where values go from now on, of a message that has this stamp. */
  into(out: DecodedColumns, series: StreamSeries, received: Received, policy: Policy): void {
    this.#values.out = out
    this.#values.series = series
    this.#received = received
    if (policy.time_zone !== 'none') this.locals.clear()
    if (policy === this.time.policy) return
    this.time.policy = policy
    this.#values.use(policy)
    this.names = this.#byKeys.of(policy.time_keys)
  }

  /** The reading whose opening brace is at `position`. */
  read(position: number, element: number): number {
    this.begin(element)
    return this.settle(this.object(position + 1, this.names.top(), 1))
  }

  /** The object at `position` that says a value and what it is called. */
  readNamed(position: number, element: number): number {
    this.begin(element)
    return this.settle(this.#lists.item(position, this.names.flat(), 1))
  }

  /** A reading begins whose values are given one by one, with {@link value} and {@link put}; {@link settle} ends it. */
  begin(element: number): void {
    this.names.top()
    this.#serial = this.#serials += 1
    this.#element = element
    this.#within = 0
    this.#fields = 0
    this.#values.nulls = 0
    this.isNested = false
    this.faults = this.doubt = this.locals.ofReading = undefined
    this.time.forget(this.#received, element)
  }

  /** The value at `position`, as a field. */
  value(position: number, field: string): number {
    return this.member(position, this.names.findText(this.names.flat(), field), 1)
  }

  /** A value that was read by another decoder, as a field; null: it is none. */
  put(value: PointValue | null, field: string): void {
    if (value === null) return void (this.#values.nulls += 1)
    const key = this.names.findText(this.names.flat(), field)
    const { name, refused } = key
    if (refused !== undefined) return this.note(name.text, refused, `the name ${quote(name.text)}`)
    if (name.seen === this.#serial) return this.note(name.text, 'field_duplicate', repeated(name.text))
    name.seen = this.#serial
    if (this.#isTooWide()) return this.note(name.text, 'reading_too_wide', `more than ${MAX_FIELDS} fields`)
    this.#values.put(value, name.text)
  }

  reject(code: ErrorCode, detail: string): number {
    this.code = code
    this.detail = detail
    return REJECTED
  }

  /** The time is known when all of the reading was read. */
  settle(end: number): number {
    if (end < 0) return end
    const { time } = this
    time.settle()
    if (time.problem !== undefined) return this.reject(time.problem, time.detail)
    if (time.doubt !== undefined) this.doubt ??= { code: time.doubt, detail: time.detail }
    return end
  }

  /** A reading within the one in progress: with a time, names and bounds of its own, or the time of the one around it. */
  within(mustHaveTime: boolean, read: () => number): number {
    if (this.#within >= MAX_ELEMENTS) {
      return this.reject('payload_too_many_readings', `more than ${MAX_ELEMENTS} readings within one`)
    }
    const { out } = this.#values
    const outer = { time: this.time, serial: this.#serial, fields: this.#fields }
    const [time, from] = [new JsonTime(this.#scanner, this.locals, outer.time.policy), out.next]
    time.forget(this.#received, this.#element)
    this.time = time
    this.#within += 1
    this.isNested = true
    this.#serial = this.#serials += 1
    this.#fields = 0
    let end = this.settle(read())
    ;[this.time, this.#serial, this.#fields] = [outer.time, outer.serial, outer.fields]
    if (end >= 0 && mustHaveTime && !time.given) end = this.reject('time_not_reserved', 'only the first needs no time')
    if (end < 0) out.dropFrom(from)
    else if (time.given) out.placeFrom(from, time.at.ms, time.at.ns)
    return end
  }

  /** From behind the opening brace. */
  object(position: number, scope: Scope, depth: number): number {
    const scanner = this.#scanner
    const buffer = scanner.buffer
    let at = scanner.space(position)
    if (buffer[at] === OBJECT_END) return at + 1
    let guess = scope.first
    let previous: Key | undefined
    for (;;) {
      if (buffer[at] !== QUOTE) return scanner.syntax(at)
      let key = guess
      if (key !== undefined && this.names.matches(key, buffer, at + 1)) {
        at += key.bytes.length + 2
        if (key.beyondAscii) scanner.beyondAscii = true
      } else {
        const end = scanner.string(at + 1)
        if (end < 0) return end
        key = scanner.escaped
          ? this.names.findText(scope, unescape(scanner.text(at + 1, end)))
          : this.names.find(scope, buffer, at + 1, end)
        if (previous !== undefined) previous.next = key.plain ? key : undefined
        else if (key.plain) scope.first = key
        at = end + 1
      }
      at = scanner.colon(at)
      if (at < 0) return at
      at = this.member(at, key, depth)
      if (at < 0) return at
      at = scanner.space(at)
      if (buffer[at] === OBJECT_END) return at + 1
      if (buffer[at] !== COMMA) return scanner.syntax(at)
      at = scanner.space(at + 1)
      previous = key
      guess = key.next
    }
  }

  /** A field is refused: its value is passed over, whatever it is. */
  #refuse(position: number, path: string, code: ErrorCode, detail: string): number {
    this.note(path, code, detail)
    return this.#scanner.skip(position)
  }

  note(path: string, code: ErrorCode, detail: string): void {
    this.faults ??= new Faults()
    this.faults.add({ element: this.#element, path, code, detail })
  }

  #isTooWide(): boolean {
    this.#fields += 1
    return this.#fields > MAX_FIELDS
  }

  member(position: number, key: Key, depth: number): number {
    const { name, refused, role } = key
    if (role === 'time') return this.#time(position, key)
    if (refused !== undefined) return this.#refuse(position, name.text, refused, `the name ${quote(name.text)}`)
    // The first in the text stands.
    if (key.seen === this.#serial) return this.#refuse(position, name.text, 'field_duplicate', repeated(name.text))
    key.seen = this.#serial
    const first = this.#scanner.buffer[position] ?? 0
    if (depth >= MAX_DEPTH && (first === OBJECT || first === ARRAY)) {
      return this.#refuse(position, name.text, 'payload_too_deep', `deeper than ${MAX_DEPTH} objects and lists`)
    }
    if (first === OBJECT) return this.object(position + 1, this.names.below(key), depth + 1)
    if (name.seen === this.#serial) return this.#refuse(position, name.text, 'field_duplicate', repeated(name.text))
    name.seen = this.#serial
    if (this.#isTooWide()) {
      return this.#refuse(position, name.text, 'reading_too_wide', `more than ${MAX_FIELDS} fields`)
    }
    if (role === 'perhaps time') this.time.consider(position, name.text)
    return first === ARRAY ? this.#lists.read(position, key, depth) : this.#values.read(position, first, name.text)
  }

  #time(position: number, { name }: Key): number {
    const { time } = this
    const absent = this.#values.absent(position)
    if (absent !== undefined) return absent
    const end = time.read(position, name.text)
    if (time.problem !== undefined) return this.reject(time.problem, time.detail)
    if (!time.isKept || end < 0) return end
    // A local time says something, if not when: it is kept as it was written.
    if (name.seen === this.#serial) return this.#refuse(position, name.text, 'field_duplicate', repeated(name.text))
    name.seen = this.#serial
    return this.#values.read(position, QUOTE, name.text)
  }
}
