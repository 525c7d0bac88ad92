import Type, { type Static } from 'typebox'
import { timeFromText, type TimeProblem } from '../../shared/decoders/device-time.ts'
import { SluiceError } from '../../shared/errors.ts'
import { compareInstants, formatInstant, MAX_INSTANT, type Instant } from '../../shared/telemetry.ts'

/** How times of points are written: numbers of ms (cut) or us (cut), ns as text, or RFC 3339. */
export const Epoch = Type.Enum(['ms', 'us', 'ns', 'rfc3339'], {
  default: 'ms',
  description: 'Format of times: milliseconds or microseconds (numbers, truncated), nanoseconds or RFC 3339 (strings).',
})
export type Epoch = Static<typeof Epoch>

export const PointTime = Type.Union([Type.Integer(), Type.String()])
export const Value = Type.Union([Type.Number(), Type.Boolean(), Type.String()], {
  description:
    'Integers beyond 2^53 are strings; other numbers beyond it have an exponent. A sum beyond 1.8e308 is "Infinity" or "-Infinity".',
})
/** An RFC 3339 time, or null when there is none. */
export const TimeOrNull = Type.Union([Type.String({ format: 'date-time' }), Type.Null()])

/** What a plus in a query becomes when it was not written as %2B: a space where the sign of a zone belongs. */
const LOST_PLUS = /^(\S{19,}) (\d{2}:\d{2})$/

/** Numbers from the first to the second, exclusive, are days of 1970 to 1973 in ms, and all of today's times in seconds. */
const SECONDS_FROM = 1e8
const SECONDS_TO = 1e11

/** A parameter that is RFC 3339 with a zone or whole milliseconds since 1970. Error: `bad_request` naming it. */
export function parseTime(name: string, text: string): Instant {
  if (/^\d{9,11}$/.test(text) && Number(text) >= SECONDS_FROM && Number(text) < SECONDS_TO) {
    throw new SluiceError(
      'bad_request',
      `parameter "${name}" looks like seconds; use milliseconds since 1970 or RFC 3339`,
    )
  }
  const instant = /^\d{1,15}$/.test(text) ? { ms: Number(text), ns: 0 } : parseRfc3339(text)
  if (instant === 'time_out_of_range' || (typeof instant === 'object' && compareInstants(instant, MAX_INSTANT) > 0)) {
    throw new SluiceError('bad_request', `parameter "${name}" is not between 1970 and 2262`)
  }
  if (typeof instant === 'object') return instant
  const reason = instant === 'time_without_zone' ? 'has no zone; use' : 'is neither whole milliseconds since 1970 nor'
  throw new SluiceError('bad_request', `parameter "${name}" ${reason} RFC 3339 like 2026-01-31T12:00:00Z`)
}

function parseRfc3339(text: string): Instant | TimeProblem {
  const bytes = Buffer.from(text.replace(LOST_PLUS, '$1+$2'))
  const instant = { ms: 0, ns: 0 }
  return timeFromText(bytes, 0, bytes.length, instant) ?? instant
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const MAX_INTERVAL_MS = 366 * 86_400_000

/** A window as `10s`, `5m`, `1h`, `1d` or a bare number of milliseconds. Error: `bad_request`. */
export function parseInterval(text: string): number {
  const [, count, unit = 'ms'] = /^(\d{1,12})(ms|s|m|h|d)?$/.exec(text) ?? []
  const ms = Number(count) * (UNITS_MS[unit] ?? Number.NaN)
  if (!(ms >= 1 && ms <= MAX_INTERVAL_MS)) {
    throw new SluiceError(
      'bad_request',
      'parameter "interval" must be a number with ms, s, m, h or d (no unit: ms), from 1 ms to 366 d',
    )
  }
  return ms
}

/** A time in the asked form; ms and us are cut. */
export function writeTime({ ms, ns }: Instant, epoch: Epoch): number | string {
  switch (epoch) {
    case 'ms':
      return ms
    case 'us':
      return ms * 1000 + Math.floor(ns / 1000)
    case 'ns':
      return ms === 0 ? String(ns) : `${ms}${String(ns).padStart(6, '0')}`
    case 'rfc3339':
      return formatInstant({ ms, ns })
    default:
      return epoch satisfies never
  }
}

/** RFC 3339 of whole milliseconds; null for undefined. */
export function rfc3339(ms: number | undefined): string | null {
  return ms === undefined ? null : formatInstant({ ms, ns: 0 })
}
