import { SluiceError } from '../errors.ts'
import type { StampSlot } from '../registry/stamp-slots-port.ts'
import { PATIENCE_MS } from './receive-clock.ts'
import { inOtherEra, NEW_SLOT, readSlotState, recentlyTaken, writeSlotState, type SlotState } from './slot.ts'

const HOUR_MS = 3_600_000

/** A holder makes no stamps any more when its last renewal is so long ago, on any of its clocks. */
export const STAMP_MS = 12 * HOUR_MS
/** A slot that was neither renewed nor given back for so long goes to another name. */
export const FREE_AFTER_MS = 24 * HOUR_MS
/** A holder that lives objects to a claim within this time. */
export const ANSWER_MS = 4_000
/** Who claimed a slot and did not take it has ended. */
const CLAIM_MS = 30_000

/** A process that needs a slot. */
export interface Taker {
  readonly name: string
  readonly lease: string
  /** The time on its own clock: stamps of the slot should not lie ahead of it. */
  readonly wallMs: number
}

export type Choice =
  | { readonly kind: 'taken'; readonly slot: number; readonly state: SlotState; readonly isAbandoned: boolean }
  | { readonly kind: 'claimed'; readonly claimed: StampSlot }
  | { readonly kind: 'refused'; readonly code: 'stamp_slot_missing' | 'node_name_taken' }

interface Step {
  readonly write?: StampSlot
  readonly result: Choice
}

/**
 * The slot for a process: the one that its name had, else one that nobody has. What it gave back itself it has at once. Any
 * other one it claims first, for the registry may be wrong about it: the holder may have been killed, or live; and after
 * the registry was restored from a copy, slots that look free are held. Whoever thinks that it holds the slot looks every
 * second, and objects or ends.
 */
export function chooseSlot(slots: readonly StampSlot[], nowMs: number, taker: Taker): Step {
  const own = slots.filter(({ holder }) => holder === taker.name).sort((a, b) => b.renewedMs - a.renewedMs)[0]
  if (own !== undefined) {
    // A second attempt, where the answer to the first was lost, or a clean stop before.
    if (own.lease === taker.lease || own.isGivenBack) return take(own, nowMs, taker)
    return isClaimed(own, nowMs, taker) ? refuse('node_name_taken') : claim(own, nowMs, taker)
  }
  const [best] = slots
    .filter((slot) => isFree(slot, nowMs) && !isClaimed(slot, nowMs, taker))
    .map((slot) => ({ slot, rank: rankOf(slot, taker) }))
    .sort((a, b) => compareRanks(a.rank, b.rank))
  if (best === undefined) return refuse('stamp_slot_missing')
  const isFirst = slots.every(({ holder }) => holder === '')
  return isFirst ? take(best.slot, nowMs, taker) : claim(best.slot, nowMs, taker)
}

/** Takes what was claimed {@link ANSWER_MS} before, unless somebody objected. */
export function takeClaimed(slots: readonly StampSlot[], nowMs: number, taker: Taker, claimed: StampSlot): Step {
  const slot = slots[claimed.slot]
  if (slot?.claim === taker.lease && slot.lease === claimed.lease) return take(slot, nowMs, taker)
  return refuse(claimed.holder === taker.name ? 'node_name_taken' : 'stamp_slot_missing')
}

/** Slots that a process with a new name may have. */
export function countFree(slots: readonly StampSlot[], nowMs: number): number {
  return slots.filter((slot) => isFree(slot, nowMs)).length
}

function isFree({ holder, isGivenBack, renewedMs }: StampSlot, nowMs: number): boolean {
  // A clock of the database that is set, either way, makes it claimed at the worst: a holder objects.
  return holder === '' || isGivenBack || Math.abs(nowMs - renewedMs) >= FREE_AFTER_MS
}

function isClaimed({ claim, claimedMs }: StampSlot, nowMs: number, { lease }: Taker): boolean {
  return claim !== '' && claim !== lease && Math.abs(nowMs - claimedMs) < CLAIM_MS
}

/**
 * First what a wrong clock has not touched, then what was free for longest; so that one wrong clock is no matter of
 * others, and stamps of the last holder are long past. Slot 0 comes last: it was that of standalone, if this was one.
 */
function rankOf(slot: StampSlot, { wallMs }: Taker): readonly number[] {
  const state = stateOf(slot)
  const isUsable = state !== undefined && isClear(inClearEra(state, wallMs), wallMs)
  const isTouched = state === undefined || !isClear(state, wallMs)
  const taken = state === undefined ? 0 : recentlyTaken(state, wallMs).length
  const isHeld = slot.holder !== '' && !slot.isGivenBack
  return [isUsable ? 0 : 1, isHeld ? 1 : 0, isTouched ? 1 : 0, taken, slot.renewedMs, -slot.slot]
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index])
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}

function take(slot: StampSlot, nowMs: number, { name, lease, wallMs }: Taker): Step {
  const known = stateOf(slot)
  if (known === undefined) throw new SluiceError('data_corrupt', `the state of stamp slot ${slot.slot} cannot be read`)
  // Stamps of another process that lie ahead of this clock are no step of this clock.
  const state = slot.holder === name ? known : inClearEra(known, wallMs)
  const isAbandoned = slot.holder !== '' && !slot.isGivenBack
  const held = { holder: name, lease, claim: '', claimedMs: 0, renewedMs: nowMs, isGivenBack: false }
  const write = { slot: slot.slot, state: writeSlotState(state), ...held }
  return { write, result: { kind: 'taken', slot: slot.slot, state, isAbandoned } }
}

function claim(slot: StampSlot, nowMs: number, { lease }: Taker): Step {
  return { write: { ...slot, claim: lease, claimedMs: nowMs }, result: { kind: 'claimed', claimed: slot } }
}

function refuse(code: 'stamp_slot_missing' | 'node_name_taken'): Step {
  return { result: { kind: 'refused', code } }
}

function stateOf({ state }: StampSlot): SlotState | undefined {
  return state === '' ? NEW_SLOT : readSlotState(state)
}

function inClearEra(state: SlotState, wallMs: number): SlotState {
  return isClear(state, wallMs) ? state : inOtherEra(state, wallMs)
}

function isClear({ era, ends }: SlotState, wallMs: number): boolean {
  const end = ends[era]
  return end === undefined || end.ms <= wallMs + PATIENCE_MS
}
