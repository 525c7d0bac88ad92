/** Offsets change at whole quarters of an hour of UTC, and nowhere in between. */
const QUARTER_MS = 900_000
/** Further than any zone is from UTC, and from itself before a change. */
const DAY_MS = 86_400_000
/** Quarters of hours whose offset is kept: all of three months, or what a backlog touches. About 1 MB. */
const MAX_KEPT = 10_000

/** What a local time may mean, in ms since 1970. */
export interface LocalInstants {
  readonly first: number
  /** The same where the clocks show it once. */
  readonly second: number
  /** Its clocks are changed within a day of it. */
  readonly isNearChange: boolean
}

/** A zone of the IANA database, as the runtime has it. */
export class Zone {
  readonly #format: Intl.DateTimeFormat
  readonly #offsets = new Map<number, number>()

  /** Throws for a name that is none. */
  constructor(name: string) {
    const numbers = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' } as const
    this.#format = new Intl.DateTimeFormat('en-US', { ...numbers, second: 'numeric', hourCycle: 'h23', timeZone: name })
  }

  /**
   * When the clocks of the zone show `localMs`, which is that time as if it were UTC: once, or twice where they are set back.
   * An hour that is left out is read by the offset before it.
   */
  read(localMs: number): LocalInstants {
    const before = localMs - this.offsetAt(localMs - DAY_MS)
    const after = localMs - this.offsetAt(localMs + DAY_MS)
    const isBefore = localMs - before === this.offsetAt(before)
    const isAfter = localMs - after === this.offsetAt(after)
    const isNearChange = before !== after
    if (isBefore && isAfter) return { first: Math.min(before, after), second: Math.max(before, after), isNearChange }
    const only = isAfter ? after : before
    return { first: only, second: only, isNearChange }
  }

  /** Milliseconds east of UTC. */
  offsetAt(utcMs: number): number {
    const quarter = Math.floor(utcMs / QUARTER_MS)
    const known = this.#offsets.get(quarter)
    if (known !== undefined) return known
    const parts: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {}
    for (const { type, value } of this.#format.formatToParts(quarter * QUARTER_MS)) parts[type] = Number(value)
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
    const offset = Date.UTC(year, month - 1, day, hour, minute, second) - quarter * QUARTER_MS
    if (this.#offsets.size >= MAX_KEPT) this.#offsets.clear()
    this.#offsets.set(quarter, offset)
    return offset
  }
}

/** Those in use; bounded by the names that there are. */
const zones = new Map<string, Zone>()

/** Throws for a name that is none. */
export function zoneNamed(name: string): Zone {
  let zone = zones.get(name)
  if (zone === undefined) {
    zone = new Zone(name)
    zones.set(name, zone)
  }
  return zone
}

/** A zone has a name; an offset alone knows no summer, and the runtime would take it. */
export function isZoneName(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    zoneNamed(name)
    return true
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}
