import type { Instant, StampScheme } from '../telemetry.ts'

/**
 * How the readings without a time of one record are placed: element i at its stamp + i * 256 ns, where the nanoseconds of
 * a stamp, counted from 1970, are congruent to the id of the process that made it, modulo 256. So no two processes ever
 * make the same time. Records without a scheme are older: their element i lies at the stamp + i ns.
 */
export const STAMP_SCHEME: StampScheme = 1

/** The same, by a clock that was not known to be synchronised: the time may be wrong by anything. Older versions read 1. */
export const UNSYNCHRONISED: StampScheme = 2

/** The scheme with a number; a number that is not known here is a later mark on the same scheme. */
export function schemeOf(number: number): StampScheme {
  return number === UNSYNCHRONISED ? UNSYNCHRONISED : STAMP_SCHEME
}

const NANOSECONDS_PER_MS = 1_000_000

/** Nanoseconds between the elements of a message, and ids that processes may have. */
export const STAMP_STEP = 256

/** Processes that stamp at the same time, each in a slot of its own; a slot has four ids, one for each era. */
export const SLOTS = 64

/** A slot goes into its next era when its clock was set back: stamps of the era before may lie ahead of the clock. */
export const ERAS = 4

/** A receive time that no other message of any process has. */
export interface Stamp extends Instant {
  readonly scheme: StampScheme
}

/** What stamps of a slot in an era are congruent to. */
export function idOf(slot: number, era: number): number {
  return slot + era * SLOTS
}

/** The id that made a stamp: 1,000,000 ns are 64 modulo 256. */
export function idOfStamp({ ms, ns }: Instant): number {
  return ((ms & 3) * 64 + ns) & (STAMP_STEP - 1)
}

/** The first nanosecond of a millisecond that belongs to an id. */
export function firstNs(id: number, ms: number): number {
  return (id - (ms & 3) * 64) & (STAMP_STEP - 1)
}

/** The time of an element of a message: a step behind the one before it; records of before had steps of a nanosecond. */
export function laterBy(
  { ms, ns, scheme }: Instant & { readonly scheme?: StampScheme | undefined },
  elements: number,
): Instant {
  const later = ns + (scheme === undefined ? elements : elements * STAMP_STEP)
  return { ms: ms + Math.floor(later / NANOSECONDS_PER_MS), ns: later % NANOSECONDS_PER_MS }
}
