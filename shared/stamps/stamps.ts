import { Counter } from 'prom-client'
import { deadLetterToRecord } from '../dead-letter.ts'
import { toSluiceError, type ErrorCode } from '../errors.ts'
import type { TelemetryLog } from '../log/port.ts'
import type { Logger } from '../process/logger.ts'
import { oncePer, TELL_EVERY_MS } from '../process/once-per.ts'
import { gaugeOf, type Metrics } from '../process/metrics.ts'
import type { ReadinessCheck } from '../process/readiness.ts'
import { untilReached, type Waiting } from '../process/wait-for-server.ts'
import type { Instant } from '../telemetry.ts'
import { ClockSteps, describeStep } from './clock-steps.ts'
import { endsInLog } from './look-up.ts'
import { PATIENCE_MS, ReceiveClock } from './receive-clock.ts'
import { ERAS, idOf } from './scheme.ts'
import { inNextEra, withEnd, type HeldSlot, type SlotState } from './slot.ts'

export interface StampsOptions extends Waiting {
  readonly log: Pick<TelemetryLog, 'append' | 'offsets' | 'read'>
  /** Takes a slot; waits until there is one. */
  readonly hold: (waiting: Waiting) => Promise<HeldSlot>
  /** The name of this process, for warnings. */
  readonly node: string
  readonly logger: Logger
  readonly metrics: Metrics
  /** The wall clock, and one that nobody sets; both in milliseconds. */
  readonly now?: () => number
  readonly steady?: () => number
}

/** The clock is looked at so often, with or without messages. */
const LOOK_MS = 1_000
/** A warning is told in `/readyz` for so long. */
const TOLD_MS = 24 * 3_600_000
/** Warnings that wait for the log. */
const MAX_WAITING = 16

/** The receive clock of a process, in a slot of its own from the first stamp on. Errors: those of `hold`, `closed`. */
export async function openStamps(options: StampsOptions): Promise<Stamps> {
  const { signal, onWaiting, logger, log, now = Date.now } = options
  const held = await options.hold({ signal, onWaiting })
  const from = { ms: Math.max(0, now()), ns: 0 }
  const waiting = { what: 'the log', logger, signal, onWaiting }
  const ends = await untilReached(() => endsInLog(log, held.slot, from), waiting)
  const stamps = new Stamps(options, held, withEnds(held.state, ends))
  await stamps.begin()
  return stamps
}

/** See {@link openStamps}: keeps the clock in an era in which no stamp lies ahead, and tells what was wrong with it. */
export class Stamps {
  readonly clock: ReceiveClock
  readonly #options: StampsOptions
  readonly #held: HeldSlot
  readonly #now: () => number
  readonly #steady: () => number
  readonly #steps: ClockSteps
  readonly #setBacks: Counter<'outcome'>
  #state: SlotState
  #work: Promise<void> = Promise.resolve()
  readonly #mayTell = oncePer(TELL_EVERY_MS)
  #isTaking = false
  #isUnusableTold = false
  #warning: { readonly text: string; readonly at: number } | undefined
  #letters: { readonly code: ErrorCode; readonly detail: string; readonly ms: number }[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(options: StampsOptions, held: HeldSlot, state: SlotState) {
    const { now = Date.now, steady = () => performance.now(), metrics } = options
    this.#options = options
    this.#held = held
    this.#state = state
    this.#now = now
    this.#steady = steady
    this.#steps = new ClockSteps(now(), steady())
    const clock = new ReceiveClock(undefined, now)
    this.clock = clock
    clock.onSetBack = () => void this.#takeEra()
    clock.onLeap = () => this.#steps.see(now(), steady())
    this.#setBacks = countSetBacks(metrics)
    exposeClock(clock, () => this.#state.era, metrics)
  }

  /** For `/readyz`. */
  readonly check: ReadinessCheck = {
    name: 'clock',
    check: async () => {
      const { stopped } = this.clock
      if (stopped !== undefined) return { ok: false, detail: stopped }
      const told = this.#warning !== undefined && this.#steady() - this.#warning.at < TOLD_MS
      return told ? { ok: true, detail: this.#warning?.text ?? '' } : { ok: true }
    },
  }

  /** The first stamps: after all that the slot made before, or in the next era when these lie too far ahead. */
  async begin(): Promise<void> {
    const { slot } = this.#held
    const { era, ends } = this.#state
    const end = ends[era]
    if (end === undefined || end.ms <= this.#now() + PATIENCE_MS) this.clock.start({ id: idOf(slot, era), after: end })
    else await this.#takeEra(end)
    this.#timer = setInterval(() => void this.look(), LOOK_MS)
  }

  /** What is done every second: sees steps of the clock, and tries again what did not succeed. */
  async look(): Promise<void> {
    this.#steps.see(this.#now(), this.#steady())
    this.clock.look()
    if (this.clock.stopped === 'clock_unusable') await this.#retry()
    await this.#writeLetters()
  }

  /** Makes no stamps any more, and gives the slot back. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#work
    this.clock.stop('closed')
    const state = withEnd(this.#state, this.#state.era, this.clock.free)
    try {
      await this.#held.giveBack(state)
    } catch (error) {
      const { code, message } = toSluiceError(error)
      this.#options.logger.warn({ code, reason: message }, 'the slot of the stamps could not be given back')
    }
  }

  /** A clock that has passed all stamps by now is as good as one that was never wrong. */
  async #retry(): Promise<void> {
    const { era, ends } = this.#state
    const end = ends[era]
    if (this.#isTaking || end === undefined || end.ms > this.#now() + PATIENCE_MS) return this.#takeEra()
    this.#isUnusableTold = false
    this.clock.start({ id: idOf(this.#held.slot, era), after: end })
  }

  /** One at a time; never rejects. */
  #takeEra(end: Instant = this.clock.free): Promise<void> {
    if (this.#isTaking) return this.#work
    this.#isTaking = true
    this.#work = this.#take(end)
      .catch((error: unknown) => {
        this.clock.stop('clock_unusable')
        const { code, message } = toSluiceError(error)
        if (this.#mayTell(`era ${code}`))
          this.#options.logger.error(
            { code, reason: message },
            'the next era of the stamps could not be kept; trying again',
          )
      })
      .finally(() => (this.#isTaking = false))
    return this.#work
  }

  async #take(end: Instant): Promise<void> {
    const now = this.#now()
    this.#state = withEnd(this.#state, this.#state.era, end)
    const next = inNextEra(this.#state, now)
    if (next === undefined) {
      this.clock.stop('clock_unusable')
      if (this.#isUnusableTold) return
      this.#isUnusableTold = true
      this.#setBacks.inc({ outcome: 'unusable' })
      this.#warn('clock_unusable', `${describeStep(this.#steps.back(now, end))}; there is no era left`)
      return
    }
    // Before its first stamp: it must never be used again.
    await this.#held.save(next)
    this.#state = next
    this.#isUnusableTold = false
    this.clock.start({ id: idOf(this.#held.slot, next.era), after: next.ends[next.era] })
    this.#setBacks.inc({ outcome: 'next_era' })
    this.#warn('clock_stepped', describeStep(this.#steps.back(now, end)))
  }

  #warn(code: ErrorCode, detail: string): void {
    this.#options.logger.error({ code, era: this.#state.era, slot: this.#held.slot }, detail)
    this.#warning = { text: detail, at: this.#steady() }
    this.#letters = [...this.#letters, { code, detail, ms: Math.max(0, this.#now()) }].slice(-MAX_WAITING)
    void this.#writeLetters()
  }

  /** Never rejects: what the log does not take is tried again. */
  async #writeLetters(): Promise<void> {
    const { log, node, logger } = this.#options
    const letters = this.#letters
    if (letters.length === 0) return
    this.#letters = []
    try {
      const records = letters.map(({ code, detail, ms }) => {
        const at = { ms, ns: 0, firstFailedMs: ms, attempts: 1, source: undefined, payload: new Uint8Array(0) }
        return deadLetterToRecord({ stage: 'clock', code, detail, who: node, topic: undefined, key: node, ...at })
      })
      await log.append('telemetry.dead-letter', records)
    } catch (error) {
      const { code } = toSluiceError(error)
      if (this.#mayTell(code)) logger.warn({ code }, 'a warning about the clock could not be written to the log')
      this.#letters = [...letters, ...this.#letters].slice(-MAX_WAITING)
    }
  }
}

/**
 * The state with what the log knows. An era with records that the state does not know of was taken after the state was
 * written: whoever restored it from a copy must not take that era again.
 */
function withEnds(state: SlotState, ends: readonly (Instant | undefined)[]): SlotState {
  let known = state
  for (let step = 0; step < ERAS; step++) {
    const era = (state.era + step) % ERAS
    if (ends[era] !== undefined && state.ends[era] === undefined) known = { ...known, era }
    known = withEnd(known, era, ends[era])
  }
  return known
}

function countSetBacks(metrics: Metrics): Counter<'outcome'> {
  return new Counter({
    name: 'sluice_stamps_set_back_total',
    help: 'Steps back of the wall clock by more than 10 s, by what became of them: the next era, or no stamps',
    labelNames: ['outcome'],
    registers: [metrics],
  })
}

function exposeClock(clock: ReceiveClock, era: () => number, metrics: Metrics): void {
  gaugeOf(metrics, 'sluice_stamps_era', 'Era of the receive stamps: it changes when the clock was set back', era)
  new Counter({
    name: 'sluice_stamps_slowed_total',
    help: 'Messages that had to wait because receive stamps were 100 ms ahead of the clock',
    registers: [metrics],
    collect() {
      this.reset()
      this.inc(clock.slowed)
    },
  })
}
