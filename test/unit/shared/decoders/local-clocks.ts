/** Ten zones, and for each an instant at which its clocks are set back, with the width of what then comes twice, in minutes. */
export const CHANGES = [
  { zone: 'Europe/Berlin', at: '2026-10-25T01:00:00Z', minutes: 60 },
  { zone: 'Europe/Lisbon', at: '2026-10-25T01:00:00Z', minutes: 60 },
  { zone: 'America/New_York', at: '2026-11-01T06:00:00Z', minutes: 60 },
  { zone: 'America/St_Johns', at: '2026-11-01T04:30:00Z', minutes: 60 },
  { zone: 'America/Santiago', at: '2026-04-05T03:00:00Z', minutes: 60 },
  { zone: 'Africa/Casablanca', at: '2026-02-15T02:00:00Z', minutes: 60 },
  { zone: 'Africa/Cairo', at: '2026-10-29T21:00:00Z', minutes: 60 },
  { zone: 'Asia/Jerusalem', at: '2026-10-24T23:00:00Z', minutes: 60 },
  { zone: 'Australia/Lord_Howe', at: '2026-04-04T15:00:00Z', minutes: 30 },
  { zone: 'Pacific/Chatham', at: '2026-04-04T14:00:00Z', minutes: 60 },
] as const

const formats = new Map<string, Intl.DateTimeFormat>()

/** What a clock on the wall shows, as people write it: the text that the runtime writes for them. */
export function wallText(zone: string, utcMs: number): string {
  const known = formats.get(zone)
  const format = known ?? new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
  formats.set(zone, format)
  return format.format(utcMs)
}

/** The same as if it were UTC, in ms. */
export function wallClock(zone: string, utcMs: number): number {
  return Date.parse(`${wallText(zone, utcMs).replace(' ', 'T')}Z`) + (utcMs % 1000)
}
