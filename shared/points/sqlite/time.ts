import { MAX_INSTANT, type Instant } from '../../telemetry.ts'

/** Moments from `from` up to, not including, `to`. */
export interface Span {
  readonly from: Instant
  readonly to: Instant
}

/** Just behind the last storable moment. */
export const END_OF_TIME: Instant = { ms: MAX_INSTANT.ms, ns: MAX_INSTANT.ns + 1 }

export const ALL_TIME: Span = { from: { ms: 0, ns: 0 }, to: END_OF_TIME }

/** True when the first moment lies before the second. Four numbers, because no object is made per point. */
export function isBefore(ms: number, ns: number, otherMs: number, otherNs: number): boolean {
  return ms < otherMs || (ms === otherMs && ns < otherNs)
}

/** The next moment. */
export function behind({ ms, ns }: Instant): Instant {
  return ns < 999_999 ? { ms, ns: ns + 1 } : { ms: ms + 1, ns: 0 }
}

export function isWithin(ms: number, ns: number, { from, to }: Span): boolean {
  return !isBefore(ms, ns, from.ms, from.ns) && isBefore(ms, ns, to.ms, to.ns)
}

/** The calendar month (UTC) of a time, counted from year 0: what one file of chunks covers. */
export function monthOf(ms: number): number {
  const date = new Date(ms)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}

/** First millisecond of a month; the month ends where the next one starts. */
export function monthStart(month: number): number {
  return Date.UTC(Math.floor(month / 12), month % 12)
}

/** `2026-01`. */
export function formatMonth(month: number): string {
  return new Date(monthStart(month)).toISOString().slice(0, 7)
}

/** Inverse of {@link formatMonth}; undefined for anything else. */
export function parseMonth(text: string): number | undefined {
  const match = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text)
  return match === null ? undefined : Number(match[1]) * 12 + Number(match[2]) - 1
}
