import { randomUUID } from 'node:crypto'
import { pause } from '../backoff.ts'
import { SluiceError } from '../errors.ts'
import type { Logger } from '../process/logger.ts'
import { gaugeOf, type Metrics } from '../process/metrics.ts'
import { untilReached, type Waiting } from '../process/wait-for-server.ts'
import type { SlotChange, StampSlot, StampSlots } from '../registry/stamp-slots-port.ts'
import { SLOTS } from './scheme.ts'
import { writeSlotState, type HeldSlot, type SlotState } from './slot.ts'
import { ANSWER_MS, chooseSlot, countFree, STAMP_MS, takeClaimed, type Choice } from './slot-choice.ts'

export interface LeaseOptions {
  readonly slots: StampSlots
  /** Of this process, the same after a restart; no other one may have it. */
  readonly name: string
  readonly logger: Logger
  readonly metrics: Metrics
  /** The wall clock, and one that nobody sets; both in milliseconds. */
  readonly now?: () => number
  readonly steady?: () => number
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>
}

/** So often the registry is told that the slot is in use, and how far its stamps reach. */
const RENEW_MS = 60_000
/** With fewer free slots the next rollout under new names may find none. */
const FEW_SLOTS = 8
const WARN_EVERY_MS = 3_600_000

/**
 * The slots of a cluster for one process: what `openStamps` takes as `hold`. It waits for a slot as long as there is none.
 * Errors: `closed`, and at once those of the registry that waiting cannot mend.
 */
export function leaseSlots(options: LeaseOptions): (waiting: Waiting) => Promise<HeldSlot> {
  const leases = new SlotLeases(options)
  const { logger } = options
  // Somebody ends the other process, or gives the registry its rights back.
  const alsoWaitFor = ['node_name_taken', 'registry_refused'] as const
  return (waiting) => {
    const lease = randomUUID()
    const attempt = () => leases.take(lease, waiting.signal)
    return untilReached(attempt, { what: 'a slot for receive stamps', alsoWaitFor, logger, ...waiting })
  }
}

/** A moment on both clocks of this process. */
interface Moment {
  readonly wall: number
  readonly steady: number
}

/** See {@link leaseSlots}. */
export class SlotLeases {
  readonly #options: LeaseOptions
  #free = SLOTS
  #warnedAt = -Infinity
  #held: Lease | undefined

  constructor(options: LeaseOptions) {
    this.#options = options
    const { metrics } = options
    const free = 'Slots of receive stamps that a process under a new name may have, of 64'
    gaugeOf(metrics, 'sluice_stamps_slots_free', free, () => this.#free)
    const left = 'Seconds until this process stops stamping unless the registry answers; 0 without a slot'
    gaugeOf(metrics, 'sluice_stamps_lease_seconds', left, () => (this.#held?.leftMs ?? 0) / 1000)
  }

  get slots(): StampSlots {
    return this.#options.slots
  }

  /** One attempt. Errors: `stamp_slot_missing`, `node_name_taken`, `closed`, those of the registry. */
  async take(lease: string, signal?: AbortSignal): Promise<HeldSlot> {
    const { name, wait = pause } = this.#options
    const taker = () => ({ name, lease, wallMs: this.moment().wall })
    let since = this.moment()
    let choice = await this.change((slots, nowMs) => chooseSlot(slots, nowMs, taker()))
    if (choice.kind === 'claimed') {
      const { claimed } = choice
      await wait(ANSWER_MS, signal)
      if (signal?.aborted === true) throw new SluiceError('closed', 'stopped while claiming a slot')
      since = this.moment()
      choice = await this.change((slots, nowMs) => takeClaimed(slots, nowMs, taker(), claimed))
    }
    if (choice.kind !== 'taken') throw this.#refusal(choice)
    this.#held = new Lease(this, { ...choice, lease, since })
    return this.#held
  }

  moment(): Moment {
    const { now = Date.now, steady = () => performance.now() } = this.#options
    return { wall: now(), steady: steady() }
  }

  /** Changes a slot, and looks how many are left. */
  async change<T>(change: SlotChange<T>): Promise<T> {
    const result = await this.slots.change((slots, nowMs) => {
      const step = change(slots, nowMs)
      const { write } = step
      const after = write === undefined ? slots : slots.map((slot) => (slot.slot === write.slot ? write : slot))
      this.#free = countFree(after, nowMs)
      return step
    })
    this.#warnOfFew()
    return result
  }

  #refusal(choice: Choice): SluiceError {
    const code = choice.kind === 'refused' ? choice.code : 'stamp_slot_missing'
    if (code === 'stamp_slot_missing') return new SluiceError(code, `no free slot could be taken of ${SLOTS}`)
    return new SluiceError(code, `another process runs as ${JSON.stringify(this.#options.name)}`)
  }

  #warnOfFew(): void {
    const { steady } = this.moment()
    if (this.#free >= FEW_SLOTS || steady - this.#warnedAt < WARN_EVERY_MS) return
    this.#warnedAt = steady
    const free = { free: this.#free, of: SLOTS }
    this.#options.logger.warn(
      free,
      'few slots for receive stamps are left; those of killed processes return after 24 h',
    )
  }
}

interface LeaseFacts {
  readonly slot: number
  readonly state: SlotState
  readonly isAbandoned: boolean
  readonly lease: string
  /** When the last renewal was asked for. */
  readonly since: Moment
}

/** A slot in the registry that this process has. Errors beside `stamp_slot_lost`: those of the registry. */
class Lease implements HeldSlot {
  readonly slot: number
  readonly state: SlotState
  readonly isAbandoned: boolean
  readonly #lease: string
  readonly #leases: SlotLeases
  #since: Moment

  constructor(leases: SlotLeases, { slot, state, isAbandoned, lease, since }: LeaseFacts) {
    this.slot = slot
    this.state = state
    this.isAbandoned = isAbandoned
    this.#lease = lease
    this.#leases = leases
    this.#since = since
  }

  /** Whichever clock says more: the steady one stands still while a machine sleeps, the wall clock may be set. */
  get leftMs(): number {
    const { wall, steady } = this.#leases.moment()
    return Math.max(0, STAMP_MS - Math.max(wall - this.#since.wall, steady - this.#since.steady))
  }

  mayStamp(): boolean {
    return this.leftMs > 0
  }

  async keep(state: SlotState): Promise<void> {
    const row = await this.#leases.slots.read(this.slot)
    if (row?.lease !== this.#lease) throw this.#lost()
    if (row.claim !== '' || STAMP_MS - this.leftMs >= RENEW_MS) await this.#renew(state, false)
  }

  save(state: SlotState): Promise<void> {
    return this.#renew(state, false)
  }

  giveBack(state: SlotState): Promise<void> {
    return this.#renew(state, true)
  }

  /** With it, whoever claims the slot is told that it is held. */
  async #renew(state: SlotState, isGivenBack: boolean): Promise<void> {
    const since = this.#leases.moment()
    const text = writeSlotState(state)
    const isHeld = await this.#leases.change((slots, nowMs) => {
      const row = slots[this.slot]
      if (row?.lease !== this.#lease) return { result: false }
      const renewed: StampSlot = { ...row, state: text, claim: '', claimedMs: 0, renewedMs: nowMs, isGivenBack }
      return { write: renewed, result: true }
    })
    if (!isHeld) throw this.#lost()
    this.#since = since
  }

  #lost(): SluiceError {
    return new SluiceError('stamp_slot_lost', `stamp slot ${this.slot} belongs to another process by now`)
  }
}
