import type { ErrorCode } from '../../shared/errors.ts'
import { fromNanoseconds, MAX_INSTANT, toNanoseconds, type Instant } from '../../shared/telemetry.ts'
import { Refused, type Tree } from './json-tree.ts'

/** What the keys of one reading say of its time. */
export class ReadingTime {
  readonly #received: Instant
  #given: Instant | undefined
  #perhaps: Instant | undefined
  doubt: ErrorCode | undefined

  constructor(received: Instant) {
    this.#received = received
  }

  /** True when the value is a local time. */
  isKept(value: Tree): boolean {
    if (value.kind !== 'number' && value.kind !== 'string') throw new Refused('time_invalid')
    if (this.#given !== undefined) throw new Refused('time_invalid')
    const read = timeOf(value)
    if (typeof read === 'string') {
      if (read === 'time_invalid' || read === 'time_out_of_range') throw new Refused(read)
      this.doubt = read
      return read === 'time_without_zone'
    }
    if (read.ms < Date.UTC(1971, 0)) this.doubt = 'clock_not_set'
    else if (read.ms > this.#received.ms + 86_400_000) throw new Refused('time_ahead')
    else this.#given = read
    return false
  }

  consider(value: Tree): void {
    if ((value.kind !== 'number' && value.kind !== 'string') || this.#perhaps !== undefined) return
    if (value.kind === 'number' && value.text.startsWith('-')) return
    const read = timeOf(value)
    if (read === 'time_without_zone') this.doubt ??= read
    if (typeof read === 'string' || read.ms < Date.UTC(2000, 0) || read.ms > this.#received.ms + 86_400_000) return
    this.#perhaps = read
  }

  settle(): Instant | undefined {
    const time = this.#given ?? this.#perhaps
    if (time !== undefined) this.doubt = time.ms < Date.UTC(2000, 0) ? 'clock_suspect' : undefined
    return time
  }
}

type TimeFault = 'time_invalid' | 'time_out_of_range' | 'time_without_zone' | 'clock_not_set'

function timeOf(value: Tree & { kind: 'number' | 'string' }): Instant | TimeFault {
  try {
    return value.kind === 'number' ? numberTime(value.text) : textTime(value.text.trim())
  } catch (error) {
    if (error instanceof Refused) return error.code as TimeFault
    throw error
  }
}

/** Digits as one integer and a power of ten; everything else is shifting. */
function numberTime(text: string): Instant {
  const [, sign = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text) ?? []
  const digits = BigInt(whole + fraction)
  if (digits === 0n) return { ms: 0, ns: 0 }
  if (sign !== '') throw new Refused('time_out_of_range')
  const exponent = Number(power) - fraction.length
  const size = digits.toString().length + exponent
  const unit = [11, 14, 17].findIndex((limit) => size <= limit)
  const shift = exponent + ([9, 6, 3][unit] ?? 0)
  if (size > 19) throw new Refused('time_out_of_range')
  // A fraction too small to matter: the power would not fit the memory.
  if (size < -20) return { ms: 0, ns: 0 }
  return storable(shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift))
}

const TIMES = [
  /^(?<y>\d{4})-(?<mo>\d\d)-(?<d>\d\d)(?:[Tt ](?<time>.*))?$/su,
  /^(?<y>\d{4})(?<mo>\d\d)(?<d>\d\d)[Tt ](?<time>.*)$/su,
]

/** Dates and times in the other ways in which people write them. */
function isLocal(text: string): boolean {
  if (/^\d{4}-\d\d-\d\d[Tt ]\d/.test(text)) return false
  const date = String.raw`\d{1,4}([-/.])\d{1,2}\1\d{1,4}`
  const time = String.raw`[T ,]+\d{1,2}[:.]\d\d([:.]\d\d([.,]\d+)?)?( ?[AP]M)?`
  const ways = [`${date}(${time})?`, String.raw`\d{1,2}:\d\d(:\d\d([.,]\d+)?)?`]
  return ways.some((way, i) => new RegExp(`^${way}$`, i === 0 ? 'i' : '').test(text))
}

/** A date by the day of the year as a calendar date, which no year has for a day too many; all else as it is. */
function calendarDate(text: string): string {
  const [, year = '', day = '', rest = ''] = /^(\d{4})-?(\d{3})((?:[Tt ].*)?)$/su.exec(text) ?? []
  if (year === '') return text
  const date = new Date(Date.UTC(Number(year), 0, Number(day))).toISOString().slice(0, 10)
  return `${date.startsWith(year) ? date : `${year}-00-00`}${rest}`
}

/** Calendar dates in the two forms, and by the day of the year; those by week have examples of their own. */
function textTime(written: string): Instant {
  const text = /^\d+$/.test(written) ? written : calendarDate(written)
  if (text === '' || /^(?:0000-00-00|0001-01-01)(?:[Tt ]|$)/.test(text)) throw new Refused('clock_not_set')
  if (text.length > 64) throw new Refused('time_invalid')
  if (/^\d+(?:\.\d+)?(?:[eE]\+?\d+)?$/.test(text)) return numberTime(text)
  const date = TIMES.map((form) => form.exec(text)?.groups).find((one) => one !== undefined)
  const clock = /^(\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?(?: ?(Z|UTC|GMT|[-+]\d\d(?::?\d\d)?))?$/iu
  const time = date?.['time'] === undefined ? [] : clock.exec(date['time'])
  if (date === undefined || time === null) throw new Refused(isLocal(text) ? 'time_without_zone' : 'time_invalid')
  const [, hour = '00', minute = '00', second = '00', fraction = '', zone] = time
  const start = Date.parse(`${date['y']}-${date['mo']}-${date['d']}T00:00:00Z`)
  if (Number.isNaN(start) || new Date(start).getUTCDate() !== Number(date['d'])) throw new Refused('time_invalid')
  const isMidnight = hour === '24' && Number(minute) + Number(second) === 0
  if ((Number(hour) > 23 && !isMidnight) || Number(minute) > 59 || Number(second) > 60)
    throw new Refused('time_invalid')
  if (zone === undefined) throw new Refused('time_without_zone')
  const offset = /^([-+])([01]\d|2[0-3]):?([0-5]\d)?$/.exec(zone)
  if (offset === null && !/^(?:z|utc|gmt)$/i.test(zone)) throw new Refused('time_invalid')
  if ((date['y'] ?? '') < '1969') throw new Refused('time_out_of_range')
  const minutes = Number(offset?.[2] ?? 0) * 60 + Number(offset?.[3] ?? 0)
  const clockMs = (Number(hour) * 60 + Number(minute)) * 60_000
  const utc = start + clockMs - (offset?.[1] === '-' ? -minutes : minutes) * 60_000
  if (second === '60' && !new Date(utc).toISOString().includes('T23:59')) throw new Refused('time_invalid')
  const nanoseconds = BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  return storable((BigInt(utc) + BigInt(second) * 1000n) * 1_000_000n + nanoseconds)
}

function storable(nanoseconds: bigint): Instant {
  if (nanoseconds < 0n || nanoseconds > toNanoseconds(MAX_INSTANT)) throw new Refused('time_out_of_range')
  return fromNanoseconds(nanoseconds)
}
