import type { TelemetryLog } from './log/port.ts'
import { compareInstants, type Instant } from './telemetry.ts'

const NANOSECONDS_PER_MS = 1_000_000

/** The clock of a node that goes on behind the newest record, also when the machine's clock was set back in between. */
export async function receiveClockBehind(log: TelemetryLog): Promise<ReceiveClock> {
  const newest = (await log.offsets('telemetry.raw')).flatMap((offsets) => offsets.newest ?? [])
  return createReceiveClock(newest.toSorted(compareInstants).at(-1))
}

/** See {@link ReceiveClock}. `newest` is the receive time of the newest record in the log, of any partition. */
export function createReceiveClock(newest: Instant | undefined): ReceiveClock {
  return new ReceiveClock(newest)
}

/**
 * The receive stamps of one node: strictly increasing over all its clients, so that readings without a time of their own
 * are distinct points. Element i of an array is stored at the stamp + i nanoseconds; a payload has fewer elements than
 * bytes, so each stamp reserves as many nanoseconds behind it as its payload has bytes (at least one), and the elements
 * of one message never meet the next message. At full speed the reservation is far below real time: 64 KiB take 66 us.
 *
 * `stamp` leaves the result in `ms` and `ns` instead of returning it, because it runs once per message.
 */
export class ReceiveClock {
  /** Whole milliseconds since 1970 of the last stamp. */
  ms = 0
  /** Nanoseconds within the millisecond of the last stamp, 0 to 999,999. */
  ns = 0
  /** First moment that the last stamp leaves free. */
  #freeMs = 0
  #freeNs = 0
  readonly #now: () => number

  /** `newest`: receive time of the newest record in the log; stamps lie behind it even if the wall clock went back. */
  constructor(newest: Instant | undefined, now: () => number = Date.now) {
    // The newest record may be an array of up to a million bytes: one whole millisecond is what it can have reserved.
    if (newest !== undefined) this.#freeMs = newest.ms + 2
    this.#now = now
  }

  /** The next stamp as a value, for callers off the hot path. */
  nextStamp(bytes: number): Instant {
    this.stamp(bytes)
    return { ms: this.ms, ns: this.ns }
  }

  /** Takes the next stamp, for a payload of `bytes` (at most 1,000,000). */
  stamp(bytes: number): void {
    const now = this.#now()
    if (now > this.#freeMs) {
      this.ms = now
      this.ns = 0
    } else {
      this.ms = this.#freeMs
      this.ns = this.#freeNs
    }
    const free = this.ns + (bytes > 1 ? bytes : 1)
    const carry = free >= NANOSECONDS_PER_MS ? Math.floor(free / NANOSECONDS_PER_MS) : 0
    this.#freeMs = this.ms + carry
    this.#freeNs = free - carry * NANOSECONDS_PER_MS
  }
}
