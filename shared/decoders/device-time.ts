import { MAX_INSTANT } from '../telemetry.ts'

/**
 * The time a device sent, read from the digits it wrote, so that nanoseconds survive where a double would round them.
 * RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339#section-5.6) or a number whose unit follows from its size.
 */
export interface DeviceTime {
  ms: number
  ns: number
}

export type TimeProblem = 'time_invalid' | 'time_without_zone' | 'time_out_of_range' | 'clock_not_set'

/**
 * Whole digits up to which a number is seconds (below 1e11), milliseconds (1e14), microseconds (1e17); how many digits more
 * make nanoseconds of it, and how many are behind those of its milliseconds.
 */
const UNIT_BY_DIGITS = [
  { digits: 11, shift: 9, behind: 0 },
  { digits: 14, shift: 6, behind: 0 },
  { digits: 17, shift: 3, behind: 3 },
] as const
const SECONDS_DIGITS = 11
const DAY_MS = 86_400_000
/** A number of nanoseconds beyond the last storable one has more whole digits, or is caught by comparing. */
const MAX_NS_DIGITS = 19

/**
 * Reads the JSON number in `buffer` from `start` to `end` into `into`: seconds below 1e11, milliseconds below 1e14,
 * microseconds below 1e17, nanoseconds from there on, each with any fraction; what lies below a nanosecond is cut.
 */
export function timeFromNumber(
  buffer: Uint8Array,
  start: number,
  end: number,
  into: DeviceTime,
): TimeProblem | undefined {
  if (fromPlainDigits(buffer, start, end, into)) return inRange(into)
  const negative = buffer[start] === 0x2d
  const first = significantDigit(buffer, negative ? start + 1 : start, end)
  if (first === end || !isDigit(buffer[first])) {
    into.ms = 0
    into.ns = 0
    return undefined
  }
  if (negative) return 'time_out_of_range'
  const whole = wholeDigits(buffer, start, first, end)
  const shift = UNIT_BY_DIGITS.find((unit) => whole <= unit.digits)?.shift ?? 0
  const total = whole + shift
  if (total > MAX_NS_DIGITS) return 'time_out_of_range'
  copyDigits(buffer, first, end, total, into)
  return inRange(into)
}

/** The number when it is written as nearly all are: only digits, the first of which is not 0. */
function fromPlainDigits(buffer: Uint8Array, start: number, end: number, into: DeviceTime): boolean {
  const length = end - start
  if (length > MAX_NS_DIGITS || buffer[start] === 0x30) return false
  const behind = UNIT_BY_DIGITS.find((unit) => length <= unit.digits)?.behind ?? 6
  let ms = 0
  let rest = 0
  for (let at = start; at < end; at++) {
    const byte = buffer[at] ?? 0
    if (byte < 0x30 || byte > 0x39) return false
    if (at < end - behind) ms = ms * 10 + (byte - 0x30)
    else rest = rest * 10 + (byte - 0x30)
  }
  const isSeconds = length <= SECONDS_DIGITS
  into.ms = isSeconds ? ms * 1000 : ms
  into.ns = behind === 3 ? rest * 1000 : rest
  return true
}

/** First digit that is not 0; `end` or the position of the exponent when there is none. */
function significantDigit(buffer: Uint8Array, start: number, end: number): number {
  let i = start
  while (i < end && (buffer[i] === 0x30 || buffer[i] === 0x2e)) i++
  return i
}

/** Digits before the decimal point when the number is written without leading zeros; negative below 0.1. */
function wholeDigits(buffer: Uint8Array, start: number, first: number, end: number): number {
  let digits = 0
  let point = -1
  let i = first
  for (; i < end && (isDigit(buffer[i]) || buffer[i] === 0x2e); i++) {
    if (buffer[i] === 0x2e) point = digits
    else digits += 1
  }
  const exponent = i < end ? exponentOf(buffer, i + 1, end) : 0
  if (point >= 0) return point + exponent
  // No point behind the first significant digit: either there is none, or it came before, with zeros behind it.
  let zeros = 0
  for (let back = first - 1; back >= start; back--) {
    if (buffer[back] === 0x2e) return exponent - zeros
    zeros += 1
  }
  return digits + exponent
}

function exponentOf(buffer: Uint8Array, start: number, end: number): number {
  const sign = buffer[start]
  let value = 0
  for (let i = sign === 0x2b || sign === 0x2d ? start + 1 : start; i < end; i++) {
    // Any more digits change nothing: the time is out of range, or 0.
    if (value < 1_000_000) value = value * 10 + digit(buffer[i])
  }
  return sign === 0x2d ? -value : value
}

/** The first `total` digits as nanoseconds: all but six of them milliseconds. */
function copyDigits(buffer: Uint8Array, first: number, end: number, total: number, into: DeviceTime): void {
  into.ms = 0
  into.ns = 0
  let source = first
  let running = true
  for (let place = 0; place < total; place++) {
    if (running && source < end && buffer[source] === 0x2e) source += 1
    running = running && source < end && isDigit(buffer[source])
    const value = running ? digit(buffer[source]) : 0
    source += 1
    if (place < total - 6) into.ms = into.ms * 10 + value
    else into.ns = into.ns * 10 + value
  }
}

/** Reads the RFC 3339 time in `buffer` from `start` to `end` into `into`; a second of 60 only where one can be. */
export function timeFromText(
  buffer: Uint8Array,
  start: number,
  end: number,
  into: DeviceTime,
): TimeProblem | undefined {
  const at = (place: number): number | undefined => (start + place < end ? buffer[start + place] : undefined)
  const pair = (place: number): number => pairAt(buffer, start + place, end)
  const separator = at(10)
  const shaped = at(4) === 0x2d && at(7) === 0x2d && at(13) === 0x3a && at(16) === 0x3a && isDateSeparator(separator)
  const year = pair(0) * 100 + pair(2)
  const [month, day, hour, minute, second] = [pair(5), pair(8), pair(11), pair(14), pair(17)]
  // NaN, where there are no two digits, fails the comparisons.
  if (!shaped || !(year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)))
    return 'time_invalid'
  if (!(hour <= 23 && minute <= 59 && second <= 60)) return 'time_invalid'
  const fractionEnd = fraction(buffer, start + 19, end, into)
  if (fractionEnd < 0) return 'time_invalid'
  if (fractionEnd === end) return 'time_without_zone'
  const offset = zoneMinutes(buffer, fractionEnd, end)
  if (Number.isNaN(offset)) return 'time_invalid'
  // Before 1970 by a margin no offset bridges; Date.UTC reads the years 0 to 99 as 1900 to 1999.
  if (year < 1969) return 'time_out_of_range'
  const minuteStart = Date.UTC(year, month - 1, day, hour, minute) - offset * 60_000
  // Leap seconds are the last of a day in UTC; they get the time of the second that follows, as clocks do.
  if (second === 60 && (minuteStart + 60_000) % DAY_MS !== 0) return 'time_invalid'
  into.ms += minuteStart + second * 1000
  return inRange(into)
}

function isDateSeparator(byte: number | undefined): boolean {
  return byte === 0x54 || byte === 0x74 || byte === 0x20
}

/** The fraction of a second into `into`, digits below a nanosecond cut; where it ended, or -1 for a lone point. */
function fraction(buffer: Uint8Array, start: number, end: number, into: DeviceTime): number {
  let nanoseconds = 0
  let i = start
  if (i < end && buffer[i] === 0x2e) {
    let scale = 100_000_000
    for (i++; i < end && isDigit(buffer[i]); i++) {
      nanoseconds += digit(buffer[i]) * scale
      scale = Math.floor(scale / 10)
    }
    if (i === start + 1) return -1
  }
  into.ms = Math.floor(nanoseconds / 1_000_000)
  into.ns = nanoseconds % 1_000_000
  return i
}

/** Minutes east of UTC of `Z` or `+hh:mm`; NaN for anything else. */
function zoneMinutes(buffer: Uint8Array, start: number, end: number): number {
  const sign = buffer[start]
  if (sign === 0x5a || sign === 0x7a) return end === start + 1 ? 0 : Number.NaN
  if ((sign !== 0x2b && sign !== 0x2d) || end !== start + 6 || buffer[start + 3] !== 0x3a) return Number.NaN
  const hours = pairAt(buffer, start + 1, end)
  const minutes = pairAt(buffer, start + 4, end)
  if (!(hours <= 23 && minutes <= 59)) return Number.NaN
  return sign === 0x2d ? -(hours * 60 + minutes) : hours * 60 + minutes
}

/** Whether it can be stored. */
function inRange(time: DeviceTime): TimeProblem | undefined {
  if (time.ms < 0 || time.ms > MAX_INSTANT.ms) return 'time_out_of_range'
  return time.ms === MAX_INSTANT.ms && time.ns > MAX_INSTANT.ns ? 'time_out_of_range' : undefined
}

function daysIn(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

function pairAt(buffer: Uint8Array, start: number, end: number): number {
  if (start + 2 > end || !isDigit(buffer[start]) || !isDigit(buffer[start + 1])) return Number.NaN
  return digit(buffer[start]) * 10 + digit(buffer[start + 1])
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

function digit(byte: number | undefined): number {
  return (byte ?? 0x30) - 0x30
}
