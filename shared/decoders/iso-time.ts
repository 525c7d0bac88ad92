import { timeFromNumber, timeFromText, type DeviceTime, type TimeProblem } from './device-time.ts'

/** Longer texts are no times: the longest form has below 50 characters, and a number as many digits as it likes. */
const MAX_CHARACTERS = 64
const DAY_MS = 86_400_000

const NUMBER = /^\d+(?:\.\d+)?(?:[eE]\+?\d+)?$/
/** Calendar, week and ordinal dates, extended or basic. */
const DATE = String.raw`(?<year>\d{4})(?:-(?<month>\d\d)-(?<day>\d\d)|(?<month2>\d\d)(?<day2>\d\d)|-?W(?<week>\d\d)-?(?<weekday>[1-7])|-?(?<ordinal>\d{3}))`
const TIME = String.raw`(?<hour>\d\d)(?::?(?<minute>\d\d)(?::?(?<second>\d\d)(?:[.,](?<fraction>\d+))?)?)?`
const ZONE = String.raw`(?: ?(?<zone>[Zz]|[Uu][Tt][Cc]|[Gg][Mm][Tt]|(?<sign>[-+\u2212])(?<east>\d\d)(?::?(?<eastMinutes>\d\d))?))?`
const ISO = new RegExp(`^${DATE}(?:[Tt ]${TIME}${ZONE})?$`, 'u')

/** Dates and times as people write them, which say no zone, and often not which number is the month. */
const LOCAL =
  /^(?:\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?:[Tt ,]+\d{1,2}[:.]\d{2}(?:[:.]\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?)?|\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?|(?:19|20)\d{12})$/
/** What software writes that knows no time: the first day of its calendar, or none. */
const NO_TIME = /^(?:0000-00-00|0001-01-01|00010101)(?:[Tt ]|$)/

/**
 * Reads the forms of ISO 8601 that are not those of RFC 3339 (an offset without a colon or minutes, the basic form, week
 * and ordinal dates, a comma before the fraction, no seconds, 24:00), and a number in quotes. The empty text and the first
 * day of a calendar are `clock_not_set`; a local time in whatever form is `time_without_zone`.
 */
export function timeFromIso(text: string, into: DeviceTime): TimeProblem | undefined {
  const written = text.trim()
  if (written === '' || NO_TIME.test(written)) return 'clock_not_set'
  if (written.length > MAX_CHARACTERS) return 'time_invalid'
  if (NUMBER.test(written) && !LOCAL.test(written)) {
    const digits = Buffer.from(written)
    return timeFromNumber(digits, 0, digits.length, into)
  }
  const parts = ISO.exec(written)?.groups
  if (parts === undefined) return LOCAL.test(written) && !isCalendarDate(written) ? 'time_without_zone' : 'time_invalid'
  const isMidnight = parts['hour'] === '24' && /^0*$/.test(`${parts['minute'] ?? ''}${parts['second'] ?? ''}`)
  const day = dateOf(parts)
  const date = isMidnight && day !== undefined ? dayAfter(day) : day
  if (date === undefined) return 'time_invalid'
  const { hour = '00', minute = '00', second = '00', fraction } = parts
  const time = `${isMidnight ? '00' : hour}:${minute}:${second}${fraction === undefined ? '' : `.${fraction}`}`
  const bytes = Buffer.from(`${date}T${time}${zoneOf(parts)}`)
  return timeFromText(bytes, 0, bytes.length, into)
}

/** What ISO would have read, were there such a time. */
function isCalendarDate(text: string): boolean {
  return /^\d{4}-\d\d-\d\d[Tt ]\d/.test(text)
}

function dateOf(parts: Partial<Record<string, string>>): string | undefined {
  const { year = '', week, weekday, ordinal } = parts
  const month = parts['month'] ?? parts['month2']
  if (month !== undefined) return `${year}-${month}-${parts['day'] ?? parts['day2'] ?? ''}`
  const first = Date.UTC(Number(year), 0, 1)
  if (ordinal !== undefined) return dayOf(first + (Number(ordinal) - 1) * DAY_MS, year)
  // The first week is the one with the fourth of January in it.
  const fourth = first + 3 * DAY_MS
  const monday = fourth - ((new Date(fourth).getUTCDay() + 6) % 7) * DAY_MS
  const day = monday + ((Number(week) - 1) * 7 + Number(weekday) - 1) * DAY_MS
  return Number(week) >= 1 && Number(week) <= 53 ? dayOf(day) : undefined
}

/** The calendar date behind one, the last one of four digits behind itself; undefined when there is no such date. */
function dayAfter(date: string): string | undefined {
  const ms = Date.parse(`${date}T00:00:00Z`)
  if (Number.isNaN(ms) || dayOf(ms) !== date) return undefined
  return date === '9999-12-31' ? date : dayOf(ms + DAY_MS)
}

/** As a calendar date; undefined when it is in another year than it has to be. */
function dayOf(ms: number, year?: string): string | undefined {
  const date = new Date(ms).toISOString().slice(0, 10)
  return year === undefined || date.startsWith(year) ? date : undefined
}

function zoneOf({ zone, sign, east, eastMinutes = '00' }: Partial<Record<string, string>>): string {
  if (zone === undefined) return ''
  return sign === undefined ? 'Z' : `${sign === '+' ? '+' : '-'}${east}:${eastMinutes}`
}
