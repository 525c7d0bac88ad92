import { timeFromNumber, timeFromText, type DeviceTime, type TimeProblem } from './device-time.ts'
import { timeFromIso } from './iso-time.ts'
import type { JsonScanner } from './json-scanner.ts'
import { quote, shorten, unescape } from './json-text.ts'
import { DEFAULT_POLICY, type Policy } from '../policies/settings.ts'
import { formatInstant, fromNanoseconds, MAX_INSTANT, type Instant } from '../telemetry.ts'
import { zoneNamed } from './zone.ts'

/** What a reading that is stored may have: a time that is none, or one that is doubtful. */
export type DoubtCode = 'clock_not_set' | 'clock_suspect' | 'time_restamped' | 'time_without_zone'

export interface Doubt {
  readonly code: DoubtCode
  readonly detail: string
}

type TimeFault = 'time_invalid' | 'time_out_of_range' | 'time_ahead' | 'time_ancient'

/** Times before this are those of a clock that counts from when it was switched on: 1971-01-01T00:00:00Z. */
const NOT_SET_BEFORE_MS = 31_536_000_000
/** Times before this are stored, and doubted: 2000-01-01T00:00:00Z. */
const SUSPECT_BEFORE_MS = 946_684_800_000
/** Times further ahead of the receive time are those of a clock that is wrong. */
const MAX_AHEAD_MS = 24 * 3_600_000

const QUOTE = 0x22
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39

const DETAIL: Record<TimeProblem, string> = {
  time_invalid: 'is neither ISO 8601 nor a number',
  time_without_zone: 'has no zone',
  time_out_of_range: 'is not between 1970 and 2262',
  clock_not_set: 'is no time of a clock that was set',
}

/**
 * The time that a reading holds for itself. A time that cannot be read, or that is too far ahead, is a `problem` of the
 * whole reading; without a clock or a zone there is none to speak of, `given` is false, and `doubt` says why.
 */
export class JsonTime {
  readonly at: DeviceTime = { ms: 0, ns: 0 }
  /** The reading holds a time, in `at`. */
  given = false
  problem: TimeFault | undefined
  doubt: DoubtCode | undefined
  /** Of the problem, or else of the doubt. */
  detail = ''
  /** What was read last is a local time, which the reading keeps as a text. */
  isKept = false
  policy: Policy
  readonly #scanner: JsonScanner
  readonly #perhaps: DeviceTime = { ms: 0, ns: 0 }
  #isPerhaps = false
  #key = ''
  #receivedMs = 0

  constructor(scanner: JsonScanner, policy = DEFAULT_POLICY) {
    this.policy = policy
    this.#scanner = scanner
  }

  /** A new reading begins. */
  forget(receivedMs: number): void {
    this.#receivedMs = receivedMs
    this.given = false
    this.problem = undefined
    this.doubt = undefined
    this.isKept = false
    this.#isPerhaps = false
  }

  /** The value at `position`, which is not null, of a key that holds the time; behind it, or SYNTAX. After a problem: anywhere. */
  read(position: number, key: string): number {
    const scanner = this.#scanner
    const first = scanner.buffer[position] ?? 0
    this.isKept = false
    const isText = first === QUOTE
    if (!isText && first !== MINUS && !(first >= ZERO && first <= NINE)) {
      return this.#refuse(position, 'time_invalid', `${quote(key)} ${DETAIL.time_invalid}`)
    }
    const start = isText ? position + 1 : position
    const end = isText ? scanner.string(start) : scanner.number(start)
    if (end < 0) return end
    if (this.given) return this.#refuse(end, 'time_invalid', `both ${quote(this.#key)} and ${quote(key)} are times`)
    const problem = isText ? this.#fromText(start, end, this.at) : timeFromNumber(scanner.buffer, start, end, this.at)
    if (problem === undefined && this.#isPlausible()) this.#give(key)
    else this.#take(problem, key, shorten(isText ? quote(scanner.text(start, end)) : scanner.text(start, end)))
    this.isKept = problem === 'time_without_zone'
    return isText ? end + 1 : end
  }

  /**
   * The value at `position`, which is JSON, of a key that may hold the time. True when it does, for the case that no
   * other key says it: a time from 2000 on that is not ahead.
   */
  consider(position: number, key: string): boolean {
    const scanner = this.#scanner
    const first = scanner.buffer[position] ?? 0
    const isText = first === QUOTE
    if (this.#isPerhaps || (!isText && !(first >= ZERO && first <= NINE))) return false
    const start = isText ? position + 1 : position
    const end = isText ? scanner.string(start) : scanner.number(start)
    if (end < 0) return false
    const at = this.#perhaps
    const problem = isText ? this.#fromText(start, end, at) : timeFromNumber(scanner.buffer, start, end, at)
    if (problem === 'time_without_zone' && this.doubt === undefined) {
      this.#doubtful(problem, `${quote(key)} is ${quote(scanner.text(start, end))}, which ${DETAIL[problem]}`)
    }
    const isTime = problem === undefined && at.ms >= SUSPECT_BEFORE_MS && at.ms <= this.#receivedMs + MAX_AHEAD_MS
    this.#isPerhaps = isTime
    return isTime
  }

  /** A time that was read by another decoder, from the digits of a number, as that of `read`. */
  readDigits(digits: string, key: string): void {
    const bytes = Buffer.from(digits)
    this.#take(timeFromNumber(bytes, 0, bytes.length, this.at), key, shorten(digits))
  }

  /** A time that was computed, in nanoseconds since 1970. */
  set(nanoseconds: bigint, key: string): void {
    const isInRange = nanoseconds >= 0n && nanoseconds < 2n ** 63n
    const at: Instant = isInRange ? fromNanoseconds(nanoseconds) : { ms: 0, ns: 0 }
    this.at.ms = at.ms
    this.at.ns = at.ns
    this.#take(isInRange ? undefined : 'time_out_of_range', key, `${nanoseconds} ns`)
  }

  /** All of the reading was read. */
  settle(): void {
    if (!this.given && this.#isPerhaps) {
      this.at.ms = this.#perhaps.ms
      this.at.ns = this.#perhaps.ns
      this.given = true
    }
    if (!this.given) return
    this.doubt = undefined
    if (this.at.ms < SUSPECT_BEFORE_MS)
      this.#doubtful('clock_suspect', `the device's time is ${formatInstant(this.at)}`)
  }

  #take(problem: TimeProblem | undefined, key: string, written: string): void {
    if (problem === 'time_invalid' || problem === 'time_out_of_range') {
      this.#refuse(0, problem, `${quote(key)} is ${written}, which ${DETAIL[problem]}`)
    } else if (problem !== undefined) {
      this.#doubtful(problem, `${quote(key)} is ${written}, which ${DETAIL[problem]}`)
    } else if (this.at.ms < NOT_SET_BEFORE_MS) {
      this.#doubtful('clock_not_set', `${quote(key)} is ${written}, which ${DETAIL.clock_not_set}`)
    } else if (this.at.ms > this.#receivedMs + MAX_AHEAD_MS && this.policy.time_future !== 'accept') {
      this.#misplaced('time_ahead', key, this.policy.time_future)
    } else if (this.at.ms < SUSPECT_BEFORE_MS && this.policy.time_ancient !== 'accept') {
      this.#misplaced('time_ancient', key, this.policy.time_ancient)
    } else this.#give(key)
  }

  #give(key: string): void {
    this.given = true
    this.#key = key
  }

  /** A time of which nothing is to be said, as nearly all are: their text is not needed. */
  #isPlausible(): boolean {
    return this.at.ms >= SUSPECT_BEFORE_MS && this.at.ms <= this.#receivedMs + MAX_AHEAD_MS
  }

  #misplaced(code: 'time_ahead' | 'time_ancient', key: string, rule: 'restamp' | 'quarantine'): void {
    const received = formatInstant({ ms: this.#receivedMs, ns: 0 })
    const detail = `${quote(key)} is ${formatInstant(this.at)}, and it was received at ${received}`
    if (rule === 'restamp') this.#doubtful('time_restamped', detail)
    else this.#refuse(0, code, detail)
  }

  #doubtful(code: DoubtCode, detail: string): void {
    this.doubt = code
    this.detail = detail
  }

  #refuse(position: number, problem: TimeFault, detail: string): number {
    this.problem = problem
    this.detail = detail
    return position
  }

  #fromText(start: number, end: number, into: DeviceTime): TimeProblem | undefined {
    const problem = this.#fromAnyText(start, end, into)
    const { time_zone: zone } = this.policy
    if (problem !== 'time_without_zone' || zone === 'none') return problem
    const scanner = this.#scanner
    const text = scanner.text(start, end)
    // Not of the forms of ISO 8601: which number is the month is not known.
    if (timeFromIso(`${(scanner.escaped ? unescape(text) : text).trim()}Z`, into) !== undefined) return problem
    into.ms = zoneNamed(zone).instantOf(into.ms, this.#receivedMs)
    return into.ms < 0 || into.ms >= MAX_INSTANT.ms ? 'time_out_of_range' : undefined
  }

  #fromAnyText(start: number, end: number, into: DeviceTime): TimeProblem | undefined {
    const scanner = this.#scanner
    if (!scanner.escaped) {
      const problem = timeFromText(scanner.buffer, start, end, into)
      return problem === 'time_invalid' || problem === 'time_out_of_range'
        ? timeFromIso(scanner.text(start, end), into)
        : problem
    }
    return timeFromIso(unescape(scanner.text(start, end)), into)
  }
}
