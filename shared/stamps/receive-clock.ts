import { SluiceError, type ErrorCode } from '../errors.ts'
import type { Instant, StampScheme } from '../telemetry.ts'
import { firstNs, STAMP_SCHEME, STAMP_STEP, type Stamp } from './scheme.ts'

const NANOSECONDS_PER_MS = 1_000_000

/** Stamps never run further ahead of the clock: who would need that waits instead. */
export const MAX_AHEAD_MS = 100
/** A clock that was set back by at most this is waited for. */
export const PATIENCE_MS = 10_000

/** What a clock begins with. */
export interface ClockStart {
  /** What all of its stamps are congruent to, 0 to 255; no other process may have it. */
  readonly id: number
  /** All stamps of this id lie before; undefined when there are none. */
  readonly after: Instant | undefined
}

/**
 * The receive stamps of one process: strictly increasing, and never those of another process (see scheme.ts). A stamp
 * reserves as many times behind it as its message may have elements, so that the elements of one message never meet the
 * next one.
 *
 * It follows the wall clock. Set back by up to 10 s, the clock is waited for, and stamps stand still; set back by more, it
 * stops until {@link start} gives it an id under which nothing was stamped yet. It makes no stamp that lies more than
 * 100 ms ahead of the latest time that the clock has shown.
 *
 * `stamp` leaves the result in `ms` and `ns` instead of returning it, because it runs once per message.
 */
export class ReceiveClock {
  /** Whole milliseconds since 1970 of the last stamp. */
  ms = 0
  /** Nanoseconds within the millisecond of the last stamp, 0 to 999,999. */
  ns = 0
  /** Of all stamps from now on. */
  scheme: StampScheme = STAMP_SCHEME
  /** Messages that had to wait because stamps were too far ahead of the clock. */
  slowed = 0
  /** Called once when the clock was set back too far to be waited for. */
  onSetBack: (() => void) | undefined
  /** Called by a stamp more than 10 s after the one before, or after a step forward; it may stop the clock. */
  onLeap: (() => void) | undefined
  readonly #now: () => number
  #id = 0
  /** The first moment of this id that no stamp has reserved. */
  #freeMs = 0
  #freeNs = 0
  /** The latest time that the clock has shown to a stamp. */
  #latest = 0
  /** Why nothing is stamped. */
  #stopped: ErrorCode | undefined = 'closed'

  constructor(start: ClockStart | undefined, now: () => number = Date.now) {
    this.#now = now
    if (start !== undefined) this.start(start)
  }

  /** Why it makes no stamps until it is started again; undefined while it does. */
  get stopped(): ErrorCode | undefined {
    return this.#stopped
  }

  /** What no stamp of this id has reserved, and everything behind it. */
  get free(): Instant {
    return { ms: this.#freeMs, ns: this.#freeNs }
  }

  /** The time on the clock, for what needs no time of its own. */
  read(): Instant {
    return { ms: Math.max(0, this.#now()), ns: 0 }
  }

  /** Makes stamps of another id, or of the same one again. */
  start({ id, after }: ClockStart): void {
    this.#id = id
    this.#startAfter(after ?? { ms: 0, ns: 0 })
    this.#stopped = undefined
  }

  /** Sees that the clock was set back before the next message comes. */
  look(): void {
    if (this.#stopped === undefined && this.#now() < this.#latest - PATIENCE_MS) this.#setBack()
  }

  /** Makes no stamps any more. */
  stop(code: ErrorCode): void {
    this.#stopped = code
  }

  /** Takes the next stamp, for a message of `elements`, 1 to 10,000. False when it has to wait. */
  stamp(elements: number): boolean {
    if (this.#stopped !== undefined) return false
    const now = this.#now()
    if (now > this.#latest) {
      if (now > this.#latest + PATIENCE_MS && this.#hasStoppedAtLeap()) return false
      this.#latest = now
      if (now > this.#freeMs) {
        this.#freeMs = now
        this.#freeNs = firstNs(this.#id, now)
      }
    } else if (now < this.#latest - PATIENCE_MS) return this.#setBack()
    const ms = this.#freeMs
    const ns = this.#freeNs
    let freeMs = ms
    let freeNs = ns + elements * STAMP_STEP
    if (freeNs >= NANOSECONDS_PER_MS) {
      freeMs += Math.floor(freeNs / NANOSECONDS_PER_MS)
      freeNs %= NANOSECONDS_PER_MS
      if (freeMs >= this.#latest + MAX_AHEAD_MS) {
        this.slowed += 1
        return false
      }
    }
    this.ms = ms
    this.ns = ns
    this.#freeMs = freeMs
    this.#freeNs = freeNs
    return true
  }

  /**
   * The stamp for a payload of so many elements (see reservation.ts) as a value, for callers off the hot path. Errors: why the
   * clock stopped, and `broker_overloaded` when it has to wait.
   */
  stampOf(elements: number): Stamp {
    if (this.stamp(elements)) return { ms: this.ms, ns: this.ns, scheme: this.scheme }
    const code = this.#stopped
    if (code === undefined) throw new SluiceError('broker_overloaded', 'receive stamps are ahead of the clock')
    throw new SluiceError(code, 'this process issues no receive stamps')
  }

  /** Stands still until the clock gets there, if that is soon. */
  #startAfter(after: Instant): void {
    this.#latest = after.ms
    this.#freeMs = after.ms
    // The next moment of this id, which may be in the millisecond that follows.
    this.#freeNs = firstNs(this.#id, after.ms)
    while (this.#freeNs < after.ns) this.#freeNs += STAMP_STEP
    if (this.#freeNs < NANOSECONDS_PER_MS) return
    this.#freeMs += 1
    this.#freeNs -= NANOSECONDS_PER_MS
  }

  #hasStoppedAtLeap(): boolean {
    this.onLeap?.()
    return this.#stopped !== undefined
  }

  #setBack(): boolean {
    this.#stopped = 'clock_unusable'
    this.onSetBack?.()
    return false
  }
}
