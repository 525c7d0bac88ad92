import { SluiceError } from '../../../shared/errors.ts'

export interface RowTime {
  /** As JSON, the way it is sent: a string with a zone, or the number that the file has. */
  readonly text: string
  /** Whole microseconds since 1970. */
  readonly us: number
  readonly zoneAssumed: boolean
}

const DATE_AND_TIME =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*([Zz]|[+-]\d{2}:?\d{2})?$/

/** Below each of these a number is in that unit, as in payloads; the unit in microseconds. */
const UNITS = [
  { below: 1e11, us: 1_000_000 },
  { below: 1e14, us: 1_000 },
  { below: 1e17, us: 1 },
] as const

/**
 * The time of a row: a date and time (a zone may be missing, then it is `zone`, or UTC), or a whole number of s, ms or
 * us since 1970. Read with Date and not with the decoder of payloads: a proof must not share the code that it proves.
 * Error: `bad_request` with `where` in front; times finer than a microsecond are refused, because they are compared so.
 */
export function parseRowTime(cell: string, zone: string | undefined, where: string): RowTime {
  const time = /^\d+$/.test(cell) ? fromNumber(cell) : fromText(cell, zone)
  if (time === undefined || !(time.us >= 0)) {
    const forms = '2026-01-31T12:00:00Z, 2026-01-31 12:00 or whole s, ms or us since 1970'
    throw new SluiceError('bad_request', `${where}: "${cell}" is not a time like ${forms}`)
  }
  return time
}

/** `Z` or `+hh:mm`, or undefined for anything else. */
export function parseZone(text: string): string | undefined {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(text) ?? []
  if (/^(z|utc)$/i.test(text)) return 'Z'
  if (sign === undefined || Number(hours) > 23 || Number(minutes) > 59) return undefined
  return `${sign}${hours}:${minutes}`
}

function fromNumber(cell: string): RowTime | undefined {
  const value = Number(cell)
  const unit = UNITS.find(({ below }) => value < below)
  if (unit === undefined) return undefined
  const us = value * unit.us
  return { text: String(value), us, zoneAssumed: false }
}

function fromText(cell: string, givenZone: string | undefined): RowTime | undefined {
  const [, date, minutes = '00:00', seconds = '00', fraction = '', ownZone] = DATE_AND_TIME.exec(cell) ?? []
  if (date === undefined || !isDate(date) || /[1-9]/.test(fraction.slice(6))) return undefined
  const zone = parseZone(ownZone ?? givenZone ?? 'Z')
  const ms = Date.parse(`${date}T${minutes}:${seconds}${zone}`)
  if (zone === undefined || Number.isNaN(ms)) return undefined
  const text = `${date}T${minutes}:${seconds}${fraction === '' ? '' : `.${fraction}`}${zone}`
  const us = ms * 1000 + Number(fraction.slice(0, 6).padEnd(6, '0'))
  return { text: JSON.stringify(text), us, zoneAssumed: ownZone === undefined && givenZone === undefined }
}

/** Date.parse turns the 30th of February into a day of March. */
function isDate(date: string): boolean {
  const ms = Date.parse(`${date}T00:00:00Z`)
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(date)
}
