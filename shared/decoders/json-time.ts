import { timeFromNumber, timeFromText, type DeviceTime, type TimeProblem } from './device-time.ts'
import { timeFromIso } from './iso-time.ts'
import type { JsonScanner } from './json-scanner.ts'
import { quote, shorten, unescape } from './json-text.ts'
import { DEFAULT_POLICY, type Policy, type TimeRule } from '../policies/settings.ts'
import { laterBy } from '../stamps/scheme.ts'
import { formatInstant, fromNanoseconds, MAX_INSTANT, type Instant, type LogRecord } from '../telemetry.ts'
import type { PayloadLocals } from './local-order.ts'
import { fittingZone } from './fitting-zone.ts'
import { clampedTime, MAX_AHEAD_MS, NOT_SET_BEFORE_MS, SUSPECT_BEFORE_MS } from './time-bounds.ts'
import { zoneNamed } from './zone.ts'

/** What a reading that is stored may have: a time that is none, or one that is doubtful. */
export type DoubtCode = 'clock_not_set' | 'clock_suspect' | 'time_clamped' | 'time_restamped' | 'time_without_zone'

export interface Doubt {
  readonly code: DoubtCode
  readonly detail: string
}

type TimeFault = 'time_invalid' | 'time_out_of_range' | 'time_ahead' | 'time_ancient'

/** What a time is compared with: the stamp of its message. */
export type Received = Pick<LogRecord, 'ms' | 'ns' | 'scheme'>

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

/** A time that was read. */
interface ReadTime extends DeviceTime {
  /**
   * It was local, and its zone's clocks are changed within a day of it: the other instant that it may mean, or the same
   * one, in ms.
   */
  other: number | undefined
}

/**
 * The time that a reading holds for itself. A time that cannot be read, or that is too far ahead, is a `problem` of the
 * whole reading; without a clock or a zone there is none to speak of, `given` is false, and `doubt` says why.
 */
export class JsonTime {
  readonly at: ReadTime = { ms: 0, ns: 0, other: undefined }
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
  readonly #locals: PayloadLocals
  readonly #perhaps: ReadTime = { ms: 0, ns: 0, other: undefined }
  #isPerhaps = false
  #key = ''
  #received: Received = { ms: 0, ns: 0, scheme: undefined }
  #element = 0

  constructor(scanner: JsonScanner, locals: PayloadLocals, policy = DEFAULT_POLICY) {
    this.policy = policy
    this.#scanner = scanner
    this.#locals = locals
  }

  /** A new reading begins, at this place of its message. */
  forget(received: Received, element: number): void {
    this.#received = received
    this.#element = element
    this.at.other = undefined
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
      const text = quote(scanner.text(start, end))
      this.#doubtful(problem, `${quote(key)} is ${text}, which ${DETAIL[problem]}${this.#proposal(at)}`)
    }
    const isTime = problem === undefined && at.ms >= SUSPECT_BEFORE_MS && at.ms <= this.#received.ms + MAX_AHEAD_MS
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
      this.at.other = this.#perhaps.other
      this.given = true
    }
    if (!this.given) return
    const { ms, other } = this.at
    if (other !== undefined) this.#locals.note({ ms, other }, this.#received.ms)
    if (this.doubt !== 'time_clamped') this.doubt = undefined
    if (this.at.ms < SUSPECT_BEFORE_MS)
      this.#doubtful('clock_suspect', `the device's time is ${formatInstant(this.at)}`)
  }

  #take(problem: TimeProblem | undefined, key: string, written: string): void {
    if (problem === 'time_invalid' || problem === 'time_out_of_range') {
      this.#refuse(0, problem, `${quote(key)} is ${written}, which ${DETAIL[problem]}`)
    } else if (problem !== undefined) {
      const proposal = problem === 'time_without_zone' ? this.#proposal(this.at) : ''
      this.#doubtful(problem, `${quote(key)} is ${written}, which ${DETAIL[problem]}${proposal}`)
    } else if (this.at.ms < NOT_SET_BEFORE_MS) {
      this.#doubtful('clock_not_set', `${quote(key)} is ${written}, which ${DETAIL.clock_not_set}`)
    } else if (this.at.ms > this.#received.ms + MAX_AHEAD_MS && this.policy.time_future !== 'accept') {
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
    return this.at.ms >= SUSPECT_BEFORE_MS && this.at.ms <= this.#received.ms + MAX_AHEAD_MS
  }

  #misplaced(code: 'time_ahead' | 'time_ancient', key: string, rule: Exclude<TimeRule, 'accept'>): void {
    const received = formatInstant({ ms: this.#received.ms, ns: 0 })
    const detail = `${quote(key)} is ${formatInstant(this.at)}, and it was received at ${received}`
    if (rule === 'quarantine') return void this.#refuse(0, code, detail)
    if (rule === 'clamp') {
      Object.assign(this.at, clampedTime(code, laterBy(this.#received, this.#element)), { other: undefined })
      this.#give(key)
    }
    this.#doubtful(rule === 'clamp' ? 'time_clamped' : 'time_restamped', detail)
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

  #fromText(start: number, end: number, into: ReadTime): TimeProblem | undefined {
    into.other = undefined
    const problem = this.#fromAnyText(start, end, into)
    if (problem !== 'time_without_zone') return problem
    const { time_zone: zone } = this.policy
    const scanner = this.#scanner
    const text = scanner.text(start, end)
    // Not of the forms of ISO 8601: which number is the month is not known.
    if (timeFromIso(`${(scanner.escaped ? unescape(text) : text).trim()}Z`, into) !== undefined) {
      into.ms = Number.NaN
      return problem
    }
    if (zone === 'none') return problem
    const { first, second, isNearChange } = zoneNamed(zone).read(into.ms)
    into.ms = this.#locals.choose(first, second, this.#received.ms)
    into.other = isNearChange ? first + second - into.ms : undefined
    return into.ms < 0 || into.ms >= MAX_INSTANT.ms ? 'time_out_of_range' : undefined
  }

  /** Which zone a local time may be of, by how far it is from its receipt: for a person. */
  #proposal(local: DeviceTime): string {
    const zone = Number.isNaN(local.ms) ? undefined : fittingZone(local.ms, this.#received.ms)
    return zone === undefined ? '' : `; ${zone} fits (the policy time_zone)`
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
