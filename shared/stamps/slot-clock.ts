import { toSluiceError, type ErrorCode } from '../errors.ts'
import type { Logger } from '../process/logger.ts'
import type { Metrics } from '../process/metrics.ts'
import { oncePer, TELL_EVERY_MS } from '../process/once-per.ts'
import type { Instant } from '../telemetry.ts'
import { ClockSteps, describeStep } from './clock-steps.ts'
import type { ClockWarnings } from './clock-warnings.ts'
import { PATIENCE_MS, ReceiveClock } from './receive-clock.ts'
import { idOf } from './scheme.ts'
import { inNextEra, inOtherEra, NEW_SLOT, withEnd, type HeldSlot, type SlotState } from './slot.ts'
import { StampMetrics } from './stamp-metrics.ts'
import type { Turns } from './turns.ts'

export interface SlotClockOptions {
  readonly warnings: ClockWarnings
  /** Everything that changes the slot: an older state must never follow a newer one. */
  readonly turns: Turns
  readonly logger: Logger
  readonly metrics: Metrics
  readonly now: () => number
  readonly steady: () => number
}

/** Keeps a clock in an era of its slot in which no stamp lies ahead, and tells what was wrong with the time. */
export class SlotClock {
  readonly clock: ReceiveClock
  readonly metrics: StampMetrics
  readonly #options: SlotClockOptions
  readonly #steps: ClockSteps
  readonly #mayTell = oncePer(TELL_EVERY_MS)
  /** The slot, and the one in which stamps are made. */
  #held: HeldSlot | undefined
  #begun: HeldSlot | undefined
  #state: SlotState = NEW_SLOT
  /** The log was asked what was stamped in it. */
  #isEntered = false
  #isTaking = false
  #isUnusableTold = false

  constructor(options: SlotClockOptions) {
    const { now, steady, metrics } = options
    this.#options = options
    this.#steps = new ClockSteps(now(), steady())
    const clock = new ReceiveClock(undefined, now)
    this.clock = clock
    clock.onSetBack = () => void this.#takeEra()
    clock.onLeap = () => this.see()
    this.metrics = new StampMetrics(clock, () => this.#state.era, metrics)
  }

  get held(): HeldSlot | undefined {
    return this.#held
  }

  /** Stamps were made in the slot. */
  get isBegun(): boolean {
    return this.#begun === this.#held
  }

  /** The state with all stamps made by now. */
  get known(): SlotState {
    return this.isBegun ? withEnd(this.#state, this.#state.era, this.clock.free) : this.#state
  }

  /** The slot to be stamped in from now on; {@link begin} makes the first stamps. */
  adopt(held: HeldSlot, state: SlotState): void {
    this.#held = held
    this.#state = state
    this.#isEntered = false
  }

  /**
   * The first stamps of a slot: after all that were made in it, or in the next era when these lie too far ahead, or when
   * nobody knows how far they reach. In turn.
   * Errors: those of the slot.
   */
  async begin(held: HeldSlot, isInDoubt: boolean): Promise<void> {
    this.#isEntered = true
    if (isInDoubt) this.#doubt(held)
    const now = this.#options.now()
    const end = this.#state.ends[this.#state.era]
    if (end !== undefined && end.ms > now + PATIENCE_MS) return this.#tryTake(end)
    // What the last holder still has under way, and what was not found of it, is in another era.
    const state = held.isAbandoned || isInDoubt ? inOtherEra(this.#state, now) : this.#state
    await (state === held.state ? held.keep(state) : held.save(state))
    this.#start(state)
  }

  /** The slot was renewed after all, and nobody else had it. */
  resume(): void {
    this.#start(this.known)
  }

  /** Notes how the time passes, and stops the clock when nothing was heard of its slot for too long. */
  see(): void {
    const { now, steady, logger } = this.#options
    this.#steps.see(now(), steady())
    if (this.clock.stopped !== undefined || this.#held?.mayStamp() !== false) return
    this.clock.stop('stamp_slot_missing')
    logger.error({ code: 'stamp_slot_missing' }, 'the registry has not answered for 12 h; nothing is stamped')
  }

  /** To be called every second: sees a clock that was set back, and whether one that was unusable is good again. */
  async look(): Promise<void> {
    this.see()
    this.clock.look()
    if (!this.#isEntered || this.clock.stopped !== 'clock_unusable') return
    const end = this.#state.ends[this.#state.era]
    const isAhead = end === undefined || end.ms > this.#options.now() + PATIENCE_MS
    if (isAhead || this.#isTaking) await this.#takeEra()
    else this.#start(this.#state)
  }

  #start(state: SlotState): void {
    const held = this.#held
    this.#state = state
    this.#isUnusableTold = false
    if (held?.mayStamp() !== true) return this.clock.stop('stamp_slot_missing')
    this.#begun = held
    this.clock.start({ id: idOf(held.slot, state.era), after: state.ends[state.era] })
  }

  /** One at a time; never rejects. */
  async #takeEra(end: Instant = this.clock.free): Promise<void> {
    const { turns } = this.#options
    if (this.#isTaking) return turns.idle()
    this.#isTaking = true
    const held = this.#held
    await turns.run(async () => (this.#held === held ? this.#tryTake(end) : undefined))
    this.#isTaking = false
  }

  async #tryTake(end: Instant): Promise<void> {
    try {
      await this.#take(end)
    } catch (error) {
      this.clock.stop('clock_unusable')
      const { code, message } = toSluiceError(error)
      if (!this.#mayTell(code)) return
      const { logger } = this.#options
      logger.error({ code, reason: message }, 'the next era of the stamps could not be kept; trying again')
    }
  }

  async #take(end: Instant): Promise<void> {
    const now = this.#options.now()
    this.#state = withEnd(this.#state, this.#state.era, end)
    const next = inNextEra(this.#state, now)
    if (next === undefined) {
      this.clock.stop('clock_unusable')
      if (this.#isUnusableTold) return
      this.#isUnusableTold = true
      this.metrics.setBacks.inc({ outcome: 'unusable' })
      this.#warn('clock_unusable', `${describeStep(this.#steps.back(now, end))}; there is no era left`)
      return
    }
    // Before its first stamp: it must never be used again.
    await this.#held?.save(next)
    this.#start(next)
    this.metrics.setBacks.inc({ outcome: 'next_era' })
    this.#warn('clock_stepped', describeStep(this.#steps.back(now, end)))
  }

  #doubt({ slot }: HeldSlot): void {
    this.metrics.searchesCut.inc()
    const text = 'too many stamps of other processes are ahead of the clock to look for own ones; taking another era'
    this.#options.logger.warn({ slot }, text)
  }

  #warn(code: ErrorCode, detail: string): void {
    this.#options.warnings.add(code, detail, { era: this.#state.era, slot: this.#held?.slot ?? -1 })
  }
}
