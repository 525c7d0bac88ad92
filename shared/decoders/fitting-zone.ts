import { zoneNamed } from './zone.ts'

const QUARTER_MS = 900_000
const DAY_MS = 86_400_000
/** Offsets and days whose zone is remembered: a backlog touches many days. */
const MAX_KEPT = 1_000
/** A message is at most so late for its offset to be told: later ones would be of the zone next to it in the west. */
const MAX_LATE_MS = 10 * 60_000
/** And a clock at most so far ahead. */
const MAX_AHEAD_MS = 2 * 60_000
/** Of zones with one offset those with the most people come first; then all that the runtime has, by their names. */
const WIDELY_USED = [
  ...['Europe/Berlin', 'Europe/London', 'America/New_York', 'America/Chicago', 'America/Los_Angeles', 'America/Denver'],
  ...['Asia/Kolkata', 'Asia/Shanghai', 'Asia/Tokyo', 'America/Sao_Paulo', 'Europe/Moscow', 'Europe/Helsinki'],
  ...['Australia/Sydney', 'Asia/Dubai', 'Asia/Karachi', 'Asia/Dhaka', 'Asia/Bangkok', 'Africa/Lagos', 'Africa/Cairo'],
]

const known = new Map<string, string | undefined>()
let names: readonly string[] | undefined

/**
 * A zone whose clocks show `localMs`, which is that time as if it were UTC, at about `receivedMs`: that of this process where it
 * fits, else one that many use. Undefined where none does: the message came late, or the clock is wrong.
 */
export function fittingZone(localMs: number, receivedMs: number): string | undefined {
  const difference = localMs - receivedMs
  const offset = Math.round((difference - MAX_AHEAD_MS + QUARTER_MS / 2) / QUARTER_MS) * QUARTER_MS
  const late = offset - difference
  if (late > MAX_LATE_MS || late < -MAX_AHEAD_MS) return undefined
  const day = Math.floor(receivedMs / DAY_MS)
  const key = `${day} ${offset}`
  if (known.has(key)) return known.get(key)
  if (known.size >= MAX_KEPT) known.clear()
  const found = candidates().find((name) => zoneNamed(name).offsetAt(receivedMs) === offset)
  known.set(key, found)
  return found
}

function candidates(): readonly string[] {
  const own = new Intl.DateTimeFormat().resolvedOptions().timeZone
  return (names ??= [...new Set([own, ...WIDELY_USED, ...Intl.supportedValuesOf('timeZone')])])
}
