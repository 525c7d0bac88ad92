import type { Instant } from '../telemetry.ts'
import { ERAS } from './scheme.ts'

/** What is kept of a slot, longer than any process: its era, and how far the stamps of each era reach. */
export interface SlotState {
  readonly era: number
  /** For each era: the first moment that none of its stamps has reserved, as far as it is known. */
  readonly ends: readonly (Instant | undefined)[]
  /** When the last eras were taken, by the clock as it was then. */
  readonly taken: readonly number[]
}

/** A slot that only this process has. Calls reject with `stamp_slot_lost` when another process has it by now. */
export interface HeldSlot {
  readonly slot: number
  readonly state: SlotState
  /** Its last holder did not say that it has ended: nobody knows what it still does. */
  readonly isAbandoned: boolean
  /** False when nothing was heard of the slot for so long that another process may get it. */
  mayStamp(): boolean
  /** To be called every second: says that it is held. */
  keep(state: SlotState): Promise<void>
  /** Resolves when the state is durable. */
  save(state: SlotState): Promise<void>
  /** Gives the slot to whoever needs one next. */
  giveBack(state: SlotState): Promise<void>
}

/** Further eras of a slot within a day: with the first one they are all that there are. */
const MAX_TAKEN = ERAS - 1
const DAY_MS = 24 * 3_600_000

export const NEW_SLOT: SlotState = { era: 0, ends: [undefined, undefined, undefined, undefined], taken: [] }

/** The state with the end of an era, unless a later one is known. */
export function withEnd(state: SlotState, era: number, end: Instant | undefined): SlotState {
  const known = state.ends[era]
  if (end === undefined || (known !== undefined && isBefore(end, known))) return state
  return { ...state, ends: state.ends.map((one, i) => (i === era ? end : one)) }
}

/** The state with the ends of its eras, where they are later. */
export function withEnds(state: SlotState, ends: readonly (Instant | undefined)[]): SlotState {
  return ends.reduce((known: SlotState, end, era) => withEnd(known, era, end), state)
}

/**
 * The state with what the log knows. An era with records that the state does not know of was taken after the state was
 * written: whoever restored it from a copy must not take that era again.
 */
export function withRecords(state: SlotState, ends: readonly (Instant | undefined)[]): SlotState {
  let known = state
  for (let step = 0; step < ERAS; step++) {
    const era = (state.era + step) % ERAS
    if (ends[era] !== undefined && state.ends[era] === undefined) known = { ...known, era }
    known = withEnd(known, era, ends[era])
  }
  return known
}

/** The state in the next era whose stamps all lie before `now`; undefined when there is none, or too many within a day. */
export function inNextEra(state: SlotState, now: number): SlotState | undefined {
  const taken = recentlyTaken(state, now)
  if (taken.length >= MAX_TAKEN) return undefined
  const era = eraBefore(state, now)
  return era === undefined ? undefined : { ...state, era, taken: [...taken, now] }
}

/** The same for another reason than the clock: it is not counted, and where there is no such era the state stays. */
export function inOtherEra(state: SlotState, now: number): SlotState {
  const era = eraBefore(state, now)
  return era === undefined ? state : { ...state, era }
}

/** Eras taken within a day. */
export function recentlyTaken({ taken }: SlotState, now: number): readonly number[] {
  return taken.filter((at) => Math.abs(now - at) < DAY_MS)
}

/** The next era whose stamps all lie before `now`. */
function eraBefore(state: SlotState, now: number): number | undefined {
  for (let step = 1; step < ERAS; step++) {
    const era = (state.era + step) % ERAS
    const end = state.ends[era]
    if (end === undefined || end.ms < now) return era
  }
  return undefined
}

/** The state as a text, for whoever keeps it. */
export function writeSlotState({ era, ends, taken }: SlotState): string {
  return JSON.stringify({ era, ends: ends.map((end) => (end === undefined ? null : [end.ms, end.ns])), taken })
}

/** Inverse of {@link writeSlotState}; undefined for any other text. */
export function readSlotState(text: string): SlotState | undefined {
  const { era, ends, taken } = parse(text)
  if (!isWhole(era) || era >= ERAS || !Array.isArray(ends) || !Array.isArray(taken)) return undefined
  if (ends.length !== ERAS || !taken.every(isWhole)) return undefined
  const instants = ends.map((end: unknown): Instant | null | undefined => {
    if (end === null) return null
    const [ms, ns] = Array.isArray(end) ? (end as unknown[]) : []
    return isWhole(ms) && isWhole(ns) && ns < 1_000_000 ? { ms, ns } : undefined
  })
  if (instants.includes(undefined)) return undefined
  return { era, ends: instants.map((instant) => instant ?? undefined), taken }
}

function parse(text: string): { era?: unknown; ends?: unknown; taken?: unknown } {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isBefore(a: Instant, b: Instant): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.ns < b.ns)
}
