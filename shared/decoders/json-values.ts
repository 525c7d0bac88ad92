import type { DecodedColumns } from './decoded.ts'
import type { ErrorCode } from '../errors.ts'
import { textReaders, type ReadText } from './field-texts.ts'
import { numberValue } from './json-number.ts'
import type { JsonScanner } from './json-scanner.ts'
import { quote, shorten, unescape } from './json-text.ts'
import type { Policy } from '../policies/settings.ts'
import type { StreamSeries } from './series.ts'
import type { PointValue } from '../telemetry.ts'

/** Bytes of a string value in UTF-8. */
export const MAX_STRING_BYTES = 16 * 1024

const QUOTE = 0x22
const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const FALSE = 0x66
const TRUE = 0x74

/** Digits that a double always holds exactly; 10 to that power too, so that one division rounds correctly. */
const EXACT_DIGITS = 15
const POWERS = Array.from({ length: EXACT_DIGITS + 1 }, (_, exponent) => 10 ** exponent)

/** Reads single values into columns. Functions take the position of what they read and return the one behind it, or SYNTAX. */
export class JsonValues {
  nulls = 0
  out: DecodedColumns
  series: StreamSeries
  /** A text that would be a number without its quotes is one. */
  #readsQuotes = false
  /** Fields whose texts stand for something else; undefined where there are none. */
  #readers: ReadonlyMap<string, ReadText> | undefined
  #policy: Policy | undefined
  readonly #scanner: JsonScanner
  readonly #refuse: (path: string, code: ErrorCode, detail: string) => void

  constructor(
    scanner: JsonScanner,
    into: { out: DecodedColumns; series: StreamSeries },
    refuse: (path: string, code: ErrorCode, detail: string) => void,
  ) {
    this.#scanner = scanner
    this.out = into.out
    this.series = into.series
    this.#refuse = refuse
  }

  /** What texts are from now on. */
  use(policy: Policy): void {
    if (policy === this.#policy) return
    this.#policy = policy
    this.#readsQuotes = policy.quoted_numbers === 'number'
    this.#readers = textReaders(policy)
  }

  /** The value at `position`, which begins with `first` and holds no others. */
  read(position: number, first: number, field: string): number {
    if (first === MINUS || (first >= ZERO && first <= NINE)) return this.#number(position, field)
    if (first === QUOTE) return this.#string(position + 1, field)
    const end = this.#scanner.literal(position)
    if (end < 0) return end
    if (first === TRUE || first === FALSE) this.out.push(this.series.get(field, 'boolean'), first === TRUE)
    else this.nulls += 1
    return end
  }

  /** Behind a `null`, `nan` or `inf`, of either sign, which counts as null; undefined for all else. */
  absent(position: number): number | undefined {
    const scanner = this.#scanner
    const isNegative = scanner.buffer[position] === MINUS
    const letter = (scanner.buffer[isNegative ? position + 1 : position] ?? 0) | 0x20
    if (letter !== 0x6e && letter !== 0x69) return undefined
    this.nulls += 1
    return isNegative ? scanner.number(position) : scanner.literal(position)
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
    this.out.push(this.series.get(field, 'float'), start > position ? -size : size)
    return at
  }

  #slowNumber(position: number, field: string): number {
    const scanner = this.#scanner
    const end = scanner.number(position)
    if (end < 0) return end
    // -inf and the like.
    if ((scanner.buffer[end - 1] ?? 0) > NINE) {
      this.nulls += 1
      return end
    }
    const text = scanner.buffer.toString('latin1', position, end)
    const value = numberValue(text)
    if (typeof value === 'string') this.#refuse(field, value, `${quote(field)} is ${shorten(text)}`)
    else this.out.push(this.series.get(field, 'float'), value)
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
        this.#refuse(field, 'value_unsupported', `${quote(field)} contains half a surrogate pair, or is not UTF-8`)
        return end + 1
      }
    }
    // No escape is shorter than what it stands for.
    if (end - position > MAX_STRING_BYTES && (!scanner.escaped || Buffer.byteLength(text) > MAX_STRING_BYTES)) {
      this.#tooLong(field)
      return end + 1
    }
    if (!scanner.escaped) text = scanner.text(position, end)
    this.#push(text, field)
    return end + 1
  }

  #push(text: string, field: string): void {
    const read = this.#readers?.get(field)
    const value = read !== undefined ? read(text) : this.#readsQuotes ? numberIn(text) : undefined
    if (value === undefined) this.out.push(this.series.get(field, 'string'), text)
    else this.put(value, field)
  }

  /** A value that was read by another decoder: finite, and well-formed. */
  put(value: PointValue, field: string): void {
    if (typeof value === 'string' && Buffer.byteLength(value) > MAX_STRING_BYTES) this.#tooLong(field)
    else this.out.push(this.series.get(field, typeOf(value)), value)
  }

  #tooLong(field: string): void {
    this.#refuse(field, 'value_too_long', `${quote(field)} is longer than ${MAX_STRING_BYTES} bytes`)
  }
}

/**
 * The number that JSON would have without the quotes. One that no double comes near is left as the text that it is, and so
 * is an exponent without a sign: programs write one, and ids such as 241408E4 have none.
 */
export function numberIn(text: string): number | bigint | undefined {
  if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]\d+)?$/.test(text)) return undefined
  const value = numberValue(text)
  return typeof value === 'string' ? undefined : value
}

function typeOf(value: PointValue): 'float' | 'boolean' | 'string' {
  if (typeof value === 'string') return 'string'
  return typeof value === 'boolean' ? 'boolean' : 'float'
}
