import type { ReceiveClock } from '../../../shared/stamps/receive-clock.ts'
import type { Forwarder } from './forwarder.ts'

/** A connection that waits until the node has room. */
export interface Waiting {
  progress(): void
}

export interface BackpressureLimits {
  readonly records: number
  readonly bytes: number
}

/** QoS 0 goes first: from half of the caps on, so that the other half is there for messages with a promise. */
const QOS0_SHARE = 0.5
/** Received after a message that has no room, and held back: beyond it sockets are not read any more. */
const MAX_HELD_BYTES = 16 * 1024 * 1024
/**
 * A log that lets nothing through for this long is down, not slow: a saturated one frees room with every batch, some
 * milliseconds apart. New clients are refused from here on.
 */
const REFUSE_AFTER_MS = 1_000
/** Restarts and hiccups of a disk are over by then; what lasts longer is an outage that others may be spared. */
const SHED_AFTER_MS = 10_000

/** The clock is looked at so often while connections wait. */
const LOOK_AGAIN_MS = 10

/** What one node takes in before it stops reading: messages on their way to the log, and bytes held back. */
export class Backpressure {
  /** Bytes that connections hold back; kept by them. */
  heldBytes = 0
  /** Since when the caps are reached without a break, in ms of `performance.now()`. */
  #fullSince: number | undefined
  readonly #forwarder: Pick<Forwarder, 'records' | 'bytes' | 'failingWith'>
  readonly #limits: BackpressureLimits
  readonly #waiting = new Set<Waiting>()
  readonly #clock: Pick<ReceiveClock, 'stopped'>
  readonly #now: () => number
  #timer: NodeJS.Timeout | undefined

  constructor(
    forwarder: Pick<Forwarder, 'records' | 'bytes' | 'failingWith'>,
    limits: BackpressureLimits,
    clock: Pick<ReceiveClock, 'stopped'>,
    now: () => number = () => performance.now(),
  ) {
    this.#clock = clock
    this.#forwarder = forwarder
    this.#limits = limits
    this.#now = now
  }

  /** No room for one more message, or nothing that it could be stamped with. */
  get isFull(): boolean {
    if (this.#clock.stopped !== undefined) return true
    return this.#forwarder.records >= this.#limits.records || this.#forwarder.bytes >= this.#limits.bytes
  }

  get shedsQos0(): boolean {
    const { records, bytes, failingWith } = this.#forwarder
    // Nobody knows when there will be room, and the caps are for those who were promised something.
    if (failingWith === 'disk_full') return true
    return records >= this.#limits.records * QOS0_SHARE || bytes >= this.#limits.bytes * QOS0_SHARE
  }

  get holdsTooMuch(): boolean {
    return this.heldBytes >= MAX_HELD_BYTES
  }

  get refusesNewcomers(): boolean {
    return this.#fullFor() >= REFUSE_AFTER_MS
  }

  /** A full disk spares nobody: clients that are sent away find no other node. */
  get shedsConnections(): boolean {
    return this.#forwarder.failingWith !== 'disk_full' && this.#fullFor() >= SHED_AFTER_MS
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Calls `progress` when there is room again. First come, first served. */
  wait(connection: Waiting): void {
    this.#fullSince ??= this.#now()
    this.#waiting.add(connection)
    this.#lookAgain()
  }

  forget(connection: Waiting): void {
    this.#waiting.delete(connection)
  }

  /** To be called when messages became durable: lets waiting connections continue, while there is room. */
  release(): void {
    if (this.isFull) return
    this.#fullSince = undefined
    if (this.#waiting.size === 0) return
    // Those that have to wait again queue after the others, not for another turn now.
    for (const connection of [...this.#waiting]) {
      if (this.isFull) return
      this.#waiting.delete(connection)
      connection.progress()
    }
  }

  /** Stamps that ran ahead, or a clock that stopped, are no matter of the log: no append will tell that they are back. */
  #lookAgain(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.release()
      if (this.#waiting.size > 0) this.#lookAgain()
    }, LOOK_AGAIN_MS).unref()
  }

  #fullFor(): number {
    return this.#fullSince === undefined ? 0 : this.#now() - this.#fullSince
  }
}
