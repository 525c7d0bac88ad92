import type { DecodedColumns } from './decoded.ts'
import type { ErrorCode } from '../errors.ts'
import { Faults } from '../faults.ts'
import type { StreamSeries } from './series.ts'
import { FieldNames, type Key, type Scope } from './field-names.ts'
import { numberValue } from './json-number.ts'
import type { JsonScanner } from './json-scanner.ts'
import { quote, shorten, unescape } from './json-text.ts'
import { JsonTime } from './json-time.ts'

/** Fields in one reading, nulls included. */
export const MAX_FIELDS = 1000
/** Objects within objects, the reading itself included. */
export const MAX_DEPTH = 32
/** Bytes of a string value in UTF-8. */
export const MAX_STRING_BYTES = 16 * 1024

/** Returned instead of a position when the reading is rejected. */
export const REJECTED = -2

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const ARRAY = 0x5b
const NULL = 0x6e
const TRUE = 0x74
const OBJECT = 0x7b
const OBJECT_END = 0x7d

/** Digits that a double always holds exactly; 10 to that power too, so that one division rounds correctly. */
const EXACT_DIGITS = 15
const POWERS = Array.from({ length: EXACT_DIGITS + 1 }, (_, exponent) => 10 ** exponent)

/**
 * Reads one reading, an object, into columns. Functions take the position of what they read and return the position
 * behind it, or SYNTAX, or REJECTED with `code` and `detail` set when the whole reading cannot be stored. A field that
 * cannot be is passed over and stands among `faults`.
 */
export class JsonReading {
  readonly time: JsonTime
  nulls = 0
  /** Fields of the reading in progress that are refused; undefined while there is none. */
  faults: Faults | undefined
  code: ErrorCode = 'internal'
  detail = ''
  readonly #scanner: JsonScanner
  readonly #names = new FieldNames()
  readonly #wideIntegers: boolean
  /** Number of the reading in progress: what `seen` of keys and names is compared with. */
  #serial = 0
  #fields = 0
  #element = 0
  #out: DecodedColumns
  #series: StreamSeries

  constructor(scanner: JsonScanner, wideIntegers: boolean, out: DecodedColumns, series: StreamSeries) {
    this.#scanner = scanner
    this.time = new JsonTime(scanner)
    this.#wideIntegers = wideIntegers
    this.#out = out
    this.#series = series
  }

  /** Where values go from now on. */
  into(out: DecodedColumns, series: StreamSeries): void {
    this.#out = out
    this.#series = series
  }

  /** The reading whose opening brace is at `position`. */
  read(position: number, element: number): number {
    this.#serial += 1
    this.#element = element
    this.faults = undefined
    this.#fields = 0
    this.nulls = 0
    this.time.forget()
    return this.#object(position + 1, this.#names.top(), 1)
  }

  reject(code: ErrorCode, detail: string): number {
    this.code = code
    this.detail = detail
    return REJECTED
  }

  /** From behind the opening brace. */
  #object(position: number, scope: Scope, depth: number): number {
    const scanner = this.#scanner
    const buffer = scanner.buffer
    let at = scanner.space(position)
    if (buffer[at] === OBJECT_END) return at + 1
    let guess = scope.first
    let previous: Key | undefined
    for (;;) {
      if (buffer[at] !== QUOTE) return scanner.syntax(at)
      let key = guess
      if (key !== undefined && this.#names.matches(key, buffer, at + 1)) {
        at += key.bytes.length + 2
        if (key.beyondAscii) scanner.beyondAscii = true
      } else {
        const end = scanner.string(at + 1)
        if (end < 0) return end
        key = this.#key(scope, at + 1, end, scanner.escaped)
        if (previous !== undefined) previous.next = key.plain ? key : undefined
        else if (key.plain) scope.first = key
        at = end + 1
      }
      at = scanner.colon(at)
      if (at < 0) return at
      at = this.#member(at, key, depth)
      if (at < 0) return at
      at = scanner.space(at)
      if (buffer[at] === OBJECT_END) return at + 1
      if (buffer[at] !== COMMA) return scanner.syntax(at)
      at = scanner.space(at + 1)
      previous = key
      guess = key.next
    }
  }

  #key(scope: Scope, start: number, end: number, escaped: boolean): Key {
    if (!escaped) return this.#names.find(scope, this.#scanner.buffer, start, end)
    return this.#names.findText(scope, unescape(this.#scanner.text(start, end)))
  }

  /** A field is refused: its value is passed over, whatever it is. */
  #refuse(position: number, path: string, code: ErrorCode, detail: string): number {
    this.#note(path, code, detail)
    return this.#scanner.skip(position)
  }

  #note(path: string, code: ErrorCode, detail: string): void {
    this.faults ??= new Faults()
    this.faults.add({ element: this.#element, path, code, detail })
  }

  #member(position: number, key: Key, depth: number): number {
    if (key.role === 'time') return this.#time(position, key)
    const name = key.name
    if (key.refused !== undefined) {
      return this.#refuse(position, name.text, key.refused, `the name ${quote(name.text)}`)
    }
    if (key.seen === this.#serial) return this.#duplicate(position, name.text)
    key.seen = this.#serial
    const first = this.#scanner.buffer[position] ?? 0
    if (first === OBJECT) {
      if (depth < MAX_DEPTH) return this.#object(position + 1, key.scope, depth + 1)
      return this.#refuse(position, name.text, 'payload_too_deep', `deeper than ${MAX_DEPTH} objects`)
    }
    if (name.seen === this.#serial) return this.#duplicate(position, name.text)
    name.seen = this.#serial
    this.#fields += 1
    if (this.#fields > MAX_FIELDS) {
      return this.#refuse(position, name.text, 'reading_too_wide', `more than ${MAX_FIELDS} fields`)
    }
    if (first === MINUS || (first >= ZERO && first <= NINE)) return this.#number(position, name.text)
    if (first === QUOTE) return this.#string(position + 1, name.text)
    if (first === ARRAY) {
      return this.#refuse(position, name.text, 'value_unsupported', `the value of ${quote(name.text)} is an array`)
    }
    const end = this.#scanner.literal(position)
    if (end < 0) return end
    if (first === NULL) this.nulls += 1
    else this.#out.push(this.#series.get(name.text, 'boolean'), first === TRUE)
    return end
  }

  /** The first in the text stands. */
  #duplicate(position: number, field: string): number {
    return this.#refuse(position, field, 'field_duplicate', `another value for ${quote(field)} comes before this one`)
  }

  #number(position: number, field: string): number {
    const buffer = this.#scanner.buffer
    let at = buffer[position] === MINUS ? position + 1 : position
    const start = at
    let mantissa = 0
    let byte = buffer[at] ?? 0
    for (; byte >= ZERO && byte <= NINE; byte = buffer[++at] ?? 0) mantissa = mantissa * 10 + (byte - ZERO)
    let digits = at - start
    // A leading zero stands alone; what stands behind it is for the slow path to refuse.
    let slow = digits === 0 || (digits > 1 && buffer[start] === ZERO)
    let fraction = 0
    if (byte === POINT) {
      const behind = ++at
      byte = buffer[at] ?? 0
      for (; byte >= ZERO && byte <= NINE; byte = buffer[++at] ?? 0) mantissa = mantissa * 10 + (byte - ZERO)
      fraction = at - behind
      digits += fraction
      slow ||= fraction === 0
    }
    if (slow || digits > EXACT_DIGITS || (byte | 0x20) === 0x65) return this.#slowNumber(position, field)
    const size = fraction === 0 ? mantissa : mantissa / (POWERS[fraction] ?? 1)
    this.#out.push(this.#series.get(field, 'float'), start > position ? -size : size)
    return at
  }

  #slowNumber(position: number, field: string): number {
    const scanner = this.#scanner
    const end = scanner.number(position)
    if (end < 0) return end
    const text = scanner.buffer.toString('latin1', position, end)
    const value = numberValue(text)
    if (typeof value === 'string') this.#note(field, value, `${quote(field)} is ${shorten(text)}`)
    else if (typeof value === 'bigint' && !this.#wideIntegers) {
      this.#note(field, 'value_not_exact', `${quote(field)} is ${shorten(text)}`)
    } else this.#out.push(this.#series.get(field, 'float'), value)
    return end
  }

  /** From behind the opening quote. */
  #string(position: number, field: string): number {
    const scanner = this.#scanner
    const end = scanner.string(position)
    if (end < 0) return end
    let text = ''
    if (scanner.escaped) {
      text = unescape(scanner.text(position, end))
      if (!text.isWellFormed()) {
        this.#note(field, 'value_unsupported', `${quote(field)} contains half a surrogate pair`)
        return end + 1
      }
    }
    // No escape is shorter than what it stands for.
    if (end - position > MAX_STRING_BYTES && (!scanner.escaped || Buffer.byteLength(text) > MAX_STRING_BYTES)) {
      this.#note(field, 'value_too_long', `${quote(field)} is longer than ${MAX_STRING_BYTES} bytes`)
      return end + 1
    }
    if (!scanner.escaped) text = scanner.text(position, end)
    this.#out.push(this.#series.get(field, 'string'), text)
    return end + 1
  }

  #time(position: number, key: Key): number {
    if (this.#scanner.buffer[position] === NULL) {
      this.nulls += 1
      return this.#scanner.literal(position)
    }
    const { time } = this
    const end = time.read(position, key.name.text)
    return time.problem === undefined ? end : this.reject(time.problem, time.detail)
  }
}
