import { timeFromNumber, timeFromText, type DeviceTime, type TimeProblem } from './device-time.ts'
import type { JsonScanner } from './json-scanner.ts'
import { quote, shorten, unescape } from './json-text.ts'

const QUOTE = 0x22
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39

const DETAIL: Record<TimeProblem, string> = {
  time_invalid: 'is neither RFC 3339 nor a number',
  time_without_zone: 'has no zone',
  time_out_of_range: 'is not between 1970 and 2262',
}

/** The time that a reading holds for itself; what is wrong with it is in `problem` and `detail`. */
export class JsonTime {
  readonly at: DeviceTime = { ms: 0, ns: 0 }
  /** The reading holds a time, in `at`. */
  given = false
  problem: TimeProblem | undefined
  detail = ''
  readonly #scanner: JsonScanner
  #key = ''

  constructor(scanner: JsonScanner) {
    this.#scanner = scanner
  }

  /** A new reading begins. */
  forget(): void {
    this.given = false
    this.problem = undefined
  }

  /** The value at `position`, which is not null, of the key; behind it, or SYNTAX. After a problem: anywhere. */
  read(position: number, key: string): number {
    const scanner = this.#scanner
    const first = scanner.buffer[position] ?? 0
    const text = first === QUOTE
    if (!text && first !== MINUS && !(first >= ZERO && first <= NINE)) {
      return this.#refuse(position, 'time_invalid', `${quote(key)} ${DETAIL.time_invalid}`)
    }
    const start = text ? position + 1 : position
    const end = text ? scanner.string(start) : scanner.number(start)
    if (end < 0) return end
    if (this.given) {
      return this.#refuse(end, 'time_invalid', `both ${quote(this.#key)} and ${quote(key)} are times`)
    }
    this.given = true
    this.#key = key
    const problem = text ? this.#fromText(start, end) : timeFromNumber(scanner.buffer, start, end, this.at)
    if (problem !== undefined) {
      const written = shorten(text ? quote(scanner.text(start, end)) : scanner.text(start, end))
      return this.#refuse(end, problem, `${quote(key)} is ${written}, which ${DETAIL[problem]}`)
    }
    return text ? end + 1 : end
  }

  #refuse(position: number, problem: TimeProblem, detail: string): number {
    this.problem = problem
    this.detail = detail
    return position
  }

  #fromText(start: number, end: number): TimeProblem | undefined {
    const scanner = this.#scanner
    if (!scanner.escaped) return timeFromText(scanner.buffer, start, end, this.at)
    const bytes = Buffer.from(unescape(scanner.text(start, end)))
    return timeFromText(bytes, 0, bytes.length, this.at)
  }
}
