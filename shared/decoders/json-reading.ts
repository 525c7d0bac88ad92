import type { DecodedColumns } from './decoded.ts'
import { timeFromNumber, timeFromText, type DeviceTime, type TimeProblem } from './device-time.ts'
import type { ErrorCode } from '../errors.ts'
import type { StreamSeries } from './series.ts'
import { FieldNames, type Key, type Scope } from './field-names.ts'
import { numberValue } from './json-number.ts'
import type { JsonScanner } from './json-scanner.ts'
import { quote, shorten, unescape } from './json-text.ts'

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

const TIME_DETAIL: Record<TimeProblem, string> = {
  time_invalid: 'is neither RFC 3339 nor a number',
  time_without_zone: 'has no zone',
  time_out_of_range: 'is not between 1970 and 2262',
}

/**
 * Reads one reading, an object, into columns. Functions take the position of what they read and return the position
 * behind it, or SYNTAX, or REJECTED with `code` and `detail` set.
 */
export class JsonReading {
  readonly time: DeviceTime = { ms: 0, ns: 0 }
  /** The reading holds a time of its own, in `time`. */
  timed = false
  nulls = 0
  code: ErrorCode = 'internal'
  detail = ''
  readonly #scanner: JsonScanner
  readonly #names = new FieldNames()
  readonly #wideIntegers: boolean
  /** Number of the reading in progress: what `seen` of keys and names is compared with. */
  #serial = 0
  #fields = 0
  #timeKey = ''
  #out: DecodedColumns
  #series: StreamSeries

  constructor(scanner: JsonScanner, wideIntegers: boolean, out: DecodedColumns, series: StreamSeries) {
    this.#scanner = scanner
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
  read(position: number): number {
    this.#serial += 1
    this.#fields = 0
    this.nulls = 0
    this.timed = false
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

  #member(position: number, key: Key, depth: number): number {
    if (key.seen === this.#serial) return this.reject('field_duplicate', `${quote(key.name.text)} appears twice`)
    key.seen = this.#serial
    if (key.role === 'time') return this.#time(position, key)
    if (key.refused !== undefined) return this.reject(key.refused, `the name ${quote(key.name.text)}`)
    const first = this.#scanner.buffer[position] ?? 0
    if (first === OBJECT) {
      if (depth >= MAX_DEPTH) return this.reject('payload_too_deep', `deeper than ${MAX_DEPTH} objects`)
      return this.#object(position + 1, key.scope, depth + 1)
    }
    const name = key.name
    if (first === ARRAY) return this.reject('value_unsupported', `the value of ${quote(name.text)} is an array`)
    if (name.seen === this.#serial) {
      return this.reject('field_duplicate', `${quote(name.text)} appears twice after flattening`)
    }
    name.seen = this.#serial
    this.#fields += 1
    if (this.#fields > MAX_FIELDS) return this.reject('reading_too_wide', `more than ${MAX_FIELDS} fields`)
    if (first === MINUS || (first >= ZERO && first <= NINE)) return this.#number(position, name.text)
    if (first === QUOTE) return this.#string(position + 1, name.text)
    const end = this.#scanner.literal(position)
    if (end < 0) return end
    if (first === NULL) this.nulls += 1
    else this.#out.push(this.#series.get(name.text, 'boolean'), first === TRUE)
    return end
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
    if (typeof value === 'string') return this.reject(value, `${quote(field)} is ${shorten(text)}`)
    if (typeof value === 'bigint' && !this.#wideIntegers) {
      return this.reject('value_not_exact', `${quote(field)} is ${shorten(text)}`)
    }
    this.#out.push(this.#series.get(field, 'float'), value)
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
      if (!text.isWellFormed())
        return this.reject('value_unsupported', `${quote(field)} contains half a surrogate pair`)
    }
    // No escape is shorter than what it stands for.
    if (end - position > MAX_STRING_BYTES && (!scanner.escaped || Buffer.byteLength(text) > MAX_STRING_BYTES)) {
      return this.reject('value_too_long', `${quote(field)} is longer than ${MAX_STRING_BYTES} bytes`)
    }
    if (!scanner.escaped) text = scanner.text(position, end)
    this.#out.push(this.#series.get(field, 'string'), text)
    return end + 1
  }

  #time(position: number, key: Key): number {
    const scanner = this.#scanner
    const first = scanner.buffer[position] ?? 0
    const text = first === QUOTE
    if (!text && first !== MINUS && !(first >= ZERO && first <= NINE)) {
      if (first !== NULL) return this.reject('time_invalid', `${quote(key.name.text)} ${TIME_DETAIL.time_invalid}`)
      this.nulls += 1
      return scanner.literal(position)
    }
    const start = text ? position + 1 : position
    const end = text ? scanner.string(start) : scanner.number(start)
    if (end < 0) return end
    if (this.timed) {
      return this.reject('time_invalid', `both ${quote(this.#timeKey)} and ${quote(key.name.text)} are times`)
    }
    this.timed = true
    this.#timeKey = key.name.text
    const problem = text ? this.#timeText(start, end) : timeFromNumber(scanner.buffer, start, end, this.time)
    if (problem !== undefined) {
      const written = shorten(text ? quote(scanner.text(start, end)) : scanner.text(start, end))
      return this.reject(problem, `${quote(key.name.text)} is ${written}, which ${TIME_DETAIL[problem]}`)
    }
    return text ? end + 1 : end
  }

  #timeText(start: number, end: number): TimeProblem | undefined {
    const scanner = this.#scanner
    if (!scanner.escaped) return timeFromText(scanner.buffer, start, end, this.time)
    const bytes = Buffer.from(unescape(scanner.text(start, end)))
    return timeFromText(bytes, 0, bytes.length, this.time)
  }
}
