/** A slot of receive stamps: which process has it, and what was stamped in it. */
export interface StampSlot {
  readonly slot: number
  /** The name of the process that has it, or had it last; empty before the first one. */
  readonly holder: string
  /** A number of the holding: whoever has another one does not have the slot any more. */
  readonly lease: string
  /** The lease of a process that takes the slot unless its holder objects; empty when there is none. */
  readonly claim: string
  readonly claimedMs: number
  /** What the holder knew of its stamps at the last renewal, see `shared/stamps/slot.ts`; empty before the first one. */
  readonly state: string
  readonly renewedMs: number
  /** Its holder ended, and said so. */
  readonly isGivenBack: boolean
}

/**
 * The slots of receive stamps that processes share, each in one row that is always there. Times are whole milliseconds
 * since 1970 by the clock of the database, and of no process. Errors as of `Registry`.
 */
export interface StampSlots {
  /**
   * Shows all slots in their order and the time, and writes the one that `change` returns, with nobody else in between;
   * durable when it resolves. `change` may be called again.
   */
  change<T>(change: SlotChange<T>): Promise<T>
  /** Undefined when the row is missing. */
  read(slot: number): Promise<StampSlot | undefined>
}

export type SlotChange<T> = (
  slots: readonly StampSlot[],
  nowMs: number,
) => { readonly write?: StampSlot | undefined; readonly result: T }
