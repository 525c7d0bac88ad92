import { pause } from '../backoff.ts'
import { SluiceError, toSluiceError, type ErrorCode } from '../errors.ts'
import type { TelemetryLog } from '../log/port.ts'
import type { Logger } from '../process/logger.ts'
import type { Metrics } from '../process/metrics.ts'
import { oncePer, TELL_EVERY_MS } from '../process/once-per.ts'
import type { ReadinessCheck } from '../process/readiness.ts'
import { untilReached, type Waiting } from '../process/wait-for-server.ts'
import { ClockWarnings } from './clock-warnings.ts'
import { endsInLog } from './look-up.ts'
import type { ReceiveClock } from './receive-clock.ts'
import { STAMP_SCHEME, UNSYNCHRONISED } from './scheme.ts'
import { SlotClock } from './slot-clock.ts'
import { withEnds, withRecords, type HeldSlot } from './slot.ts'
import { SystemClock, type SystemClockOptions } from './system-clock.ts'
import { Turns } from './turns.ts'

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
  /** So long at most nothing is stamped before the system clock is known to be synchronised; 0 when absent. */
  readonly waitForClockMs?: number
  /** What the system says of its clock. */
  readonly system?: Pick<SystemClockOptions, 'told' | 'uptime'>
}

/** For `/readyz`. */
const MARKED = 'the system clock is not known to be synchronised; times that readings get here are marked'

/** The clock and the slot are looked at so often, with or without messages. */
const LOOK_MS = 1_000

/**
 * The receive clock of a process, in a slot of its own from the first stamp on. Where the system clock is waited for, it is
 * stopped until then. Errors: those of `hold`, `closed`.
 */
export async function openStamps(options: StampsOptions): Promise<Stamps> {
  const stamps = new Stamps(options)
  try {
    await stamps.open()
    return stamps
  } catch (error) {
    await stamps.close()
    throw error
  }
}

/** See {@link openStamps}: holds a slot for the clock, and takes another one when it loses it. */
export class Stamps {
  readonly #options: StampsOptions
  readonly #now: () => number
  readonly #slotClock: SlotClock
  readonly #warnings: ClockWarnings
  readonly #turns = new Turns()
  readonly #mayTell = oncePer(TELL_EVERY_MS)
  readonly #closing = new AbortController()
  /** What is waited for to get a slot. */
  #waitsFor: ErrorCode | undefined
  readonly #system: SystemClock
  readonly #waiting = Promise.withResolvers<'waiting'>()
  #entering: Promise<void> | undefined
  #isKeeping = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: StampsOptions) {
    const { now = Date.now, steady = () => performance.now() } = options
    this.#options = options
    this.#now = now
    this.#system = new SystemClock({ steady, waitMs: options.waitForClockMs ?? 0, ...options.system })
    this.#warnings = new ClockWarnings({ ...options, now, steady })
    const own = { warnings: this.#warnings, turns: this.#turns, now, steady }
    this.#slotClock = new SlotClock({ ...options, ...own })
    this.#mark()
  }

  get clock(): ReceiveClock {
    return this.#slotClock.clock
  }

  /** For `/readyz`. */
  readonly check: ReadinessCheck = {
    name: 'clock',
    check: async () => {
      const { stopped } = this.clock
      if (stopped !== undefined) return { ok: false, detail: this.#waitsFor ?? stopped }
      const told = this.#warnings.told ?? (this.#isMarking ? MARKED : undefined)
      return told === undefined ? { ok: true } : { ok: true, detail: told }
    },
  }

  /** Resolves when stamps are made, or the clock is `clock_unusable` or waits for that of the system. */
  async open(): Promise<void> {
    this.#timer = setInterval(() => void this.look(), LOOK_MS)
    const entering = this.#enter()
    this.#entering = Promise.allSettled([entering]).then(() => void (this.#entering = undefined))
    const outcome = await Promise.race([entering, this.#waiting.promise])
    if (outcome === 'waiting') entering.catch((error: unknown) => this.#fail(error))
  }

  /** What is done every second: sees steps of the clock, keeps the slot, and tries again what did not succeed. */
  async look(): Promise<void> {
    this.#mark()
    await this.#slotClock.look()
    if (!this.#isKeeping) {
      this.#isKeeping = true
      await this.#turns.run(() => this.#keep())
      this.#isKeeping = false
    }
    await this.#warnings.write()
  }

  /** Makes no stamps any more, and gives the slot back. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#closing.abort()
    await this.#entering
    await this.#turns.idle()
    this.clock.stop('closed')
    const { held, isBegun, known } = this.#slotClock
    // One that was abandoned stays so until its stamps are in another era.
    if (held === undefined || (held.isAbandoned && !isBegun)) return
    try {
      await held.giveBack(known)
    } catch (error) {
      this.#tell('warn', error, 'the slot of the stamps could not be given back')
    }
  }

  /** Takes a slot, and makes its first stamps. */
  async #enter(): Promise<void> {
    const { hold, log, logger, signal } = this.#options
    const signals = [this.#closing.signal, ...(signal === undefined ? [] : [signal])]
    const onWaiting = (reason: SluiceError | undefined) => {
      this.#waitsFor = reason?.code
      this.#options.onWaiting?.(reason)
    }
    const waiting = { logger, signal: AbortSignal.any(signals), onWaiting }
    for (;;) {
      const before = { slot: this.#slotClock.held?.slot, ends: this.#slotClock.known.ends }
      const held = await hold(waiting)
      const known = before.slot === held.slot ? withEnds(held.state, before.ends) : held.state
      this.#slotClock.adopt(held, known)
      await this.#waitForClock(waiting)
      const from = { ms: Math.max(0, this.#now()), ns: 0 }
      const found = await untilReached(() => endsInLog(log, held.slot, from), { what: 'the log', ...waiting })
      this.#slotClock.adopt(held, withRecords(known, found.ends))
      const begin = () => this.#turns.run(() => this.#slotClock.begin(held, found.isInDoubt))
      try {
        return await untilReached(begin, { what: 'the slot of the stamps', ...waiting })
      } catch (error) {
        if (!isLost(error)) throw error
      }
    }
  }

  /** With a time that is not wrong by years no era is taken in vain, and little of the log is ahead of the clock. */
  async #waitForClock({ signal, onWaiting }: Required<Waiting>): Promise<void> {
    const { waitForClockMs = 0, logger } = this.#options
    if (waitForClockMs <= 0) return
    const seconds = waitForClockMs / 1000
    while (this.#isMarking) {
      if (signal?.aborted === true) throw new SluiceError('closed', 'stopped while waiting for the system clock')
      const reason = new SluiceError('clock_unsynchronised', `waiting ${seconds} s at most for the system clock`)
      if (this.clock.stopped !== reason.code) logger.warn({ code: reason.code }, reason.message)
      this.clock.stop(reason.code)
      onWaiting?.(reason)
      this.#waiting.resolve('waiting')
      await pause(LOOK_MS, signal)
      this.#mark()
    }
    onWaiting?.(undefined)
  }

  /** Whether stamps are marked, because nobody knows whether the time is right. */
  get #isMarking(): boolean {
    return this.clock.scheme === UNSYNCHRONISED
  }

  #mark(): void {
    this.clock.scheme = this.#system.isKnown ? STAMP_SCHEME : UNSYNCHRONISED
  }

  /** Nobody waits for the start any more: what cannot be mended by waiting is told here. */
  #fail(reason: unknown): void {
    if (this.#closing.signal.aborted) return
    this.clock.stop(toSluiceError(reason).code)
    this.#tell('error', reason, 'no stamps can be made; start again when it is mended')
  }

  async #keep(): Promise<void> {
    const { held, known } = this.#slotClock
    try {
      await held?.keep(known)
      if (this.clock.stopped === 'stamp_slot_missing' && this.#entering === undefined) this.#slotClock.resume()
    } catch (error) {
      if (isLost(error)) return this.#lose(error)
      this.#tell('warn', error, 'the slot of the stamps cannot be renewed; trying again')
    }
  }

  /** Stops at once, and takes another slot. */
  #lose(reason: unknown): void {
    this.clock.stop('stamp_slot_missing')
    if (this.#entering !== undefined) return
    this.#slotClock.metrics.lost.inc()
    this.#tell('error', reason, 'another process took the slot of the stamps; taking another one')
    this.#entering = this.#enter()
      .catch((error: unknown) => {
        if (!this.#closing.signal.aborted) this.#tell('error', error, 'no slot could be taken; trying again')
      })
      .finally(() => (this.#entering = undefined))
  }

  #tell(level: 'warn' | 'error', error: unknown, text: string): void {
    const { code, message } = toSluiceError(error)
    if (!this.#mayTell(`${text} ${code}`)) return
    this.#options.logger[level]({ code, reason: message }, text)
  }
}

function isLost(error: unknown): boolean {
  return toSluiceError(error).code === 'stamp_slot_lost'
}
