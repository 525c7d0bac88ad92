// Invariant: in doubt a message is new. It is taken for one that is stored only if it has the id and the bytes of one that is
// written down, and its client says so with DUP or has sent nothing new on this connection.
import type { PublishParts } from '../mqtt/publish.ts'
import { RecentMessages, type FirstStamp, type Repeatable } from './recent-messages.ts'
import type { Lease, UnreleasedChange } from '../../../shared/sessions/port.ts'
import type { Digest } from './unreleased.ts'

/** How a message ended in the log. */
export type Outcome = 'acked' | 'refused'

/** The lane whose answers wait for what is written down. */
export interface AnsweringLane {
  readonly isClosed: boolean
  /** The oldest message in the log without an answer may be answered now. */
  ended(outcome: Outcome): void
  released(id: number): void
  /** What may be answered is sent. */
  settled(): void
  /** The session is another node's: nothing is answered any more. */
  fenced(): void
}

/** What waits for the writer: an id, or a message that only waits behind one. */
interface Told {
  readonly id: number
  readonly digest: Digest | undefined
  readonly outcome: Outcome
}

/** What the writer made of changes; `unsent` ones are certainly not made. */
export type Written = 'written' | 'unknown' | 'unsent' | 'fenced'

interface Options {
  readonly lane: AnsweringLane
  readonly lease: Lease
  readonly previous: Repeatable | undefined
  /** Ids that are written down at most. */
  readonly most: number
  readonly schedule: (repeats: Repeats) => void
  /** An id was given up, because there were too many. */
  readonly onGivenUp: () => void
}

/** What a persistent session knows of its messages, while one connection holds it; see unreleased.ts. */
export class Repeats {
  readonly lease: Lease
  readonly own = new RecentMessages()
  readonly #options: Options
  readonly #previous: Repeatable | undefined
  /** Ids that are, or may be, written down. */
  readonly #kept: Map<number, Digest>
  /** Of QoS 2 on its way into the log, in order. */
  readonly #taken: { readonly id: number; readonly digest: Digest }[] = []
  /** In the log, not answered, in order: from the first id that is not written down yet. */
  readonly #told: Told[] = []
  /** How many of these are with the writer. */
  #writing = 0
  /** Ids from PUBLISH until PUBREC is sent. */
  readonly #unanswered = new Set<number>()
  /** Ids to be forgotten; true: PUBCOMP waits for it. */
  readonly #releases = new Map<number, boolean>()
  #heardMs = 0
  /** The client has sent nothing new yet. What it repeats comes first, from some clients without DUP [MQTT-4.4.0-1]. */
  #isResuming = true

  constructor(options: Options) {
    this.#options = options
    this.#previous = options.previous
    this.lease = options.lease
    this.#kept = new Map(options.lease.left.unreleased)
  }

  /** Ids that are written down. */
  get size(): number {
    return this.#kept.size
  }

  /** The message must be answered behind one whose id is not written down yet. */
  get holdsBack(): boolean {
    return this.#told.length > 0
  }

  /** The client has said something. */
  heard(): void {
    this.#heardMs = Date.now()
  }

  /** The message is in the log, and its PUBREC is due again. */
  isStored({ id, isDup, qos }: Readonly<PublishParts>, digest: Digest): boolean {
    if (qos !== 2 || !(isDup || this.#isResuming) || this.#releases.has(id)) return false
    return this.#kept.get(id) === digest
  }

  /** The stamp under which the message was received on the connection before, if it is one of its last. */
  firstStamp({ id, qos, isDup }: Readonly<PublishParts>, digest: Digest): FirstStamp | undefined {
    const mayBeRepeat = isDup || (qos === 2 && this.#isResuming)
    return mayBeRepeat ? this.#previous?.find(id, qos, digest) : undefined
  }

  /** A message is on its way into the log, with the stamp of its first copy or a new one. */
  note({ id, qos, isDup }: Readonly<PublishParts>, digest: Digest, stamp: FirstStamp, isNew: boolean): void {
    if (isNew) this.#isResuming = false
    if (isNew && !isDup) this.reuse(id)
    else if (qos === 2 && this.#kept.has(id)) this.#forget(id)
    this.own.note(id, qos, digest, stamp.ms, stamp.ns)
    this.#heardMs = Math.max(this.#heardMs, stamp.ms)
    if (qos < 2) return
    this.#taken.push({ id, digest })
    this.#unanswered.add(id)
  }

  /** The id is another message's from now on. */
  reuse(id: number): void {
    this.#previous?.forget(id)
    if (this.#kept.size > 0 && this.#kept.has(id)) this.#forget(id)
  }

  /** The oldest message of QoS 2 is in the log. */
  toldExactlyOnce(outcome: Outcome): void {
    const taken = this.#taken.shift()
    if (taken === undefined) return
    this.#told.push({ ...taken, outcome })
    this.#options.schedule(this)
  }

  /** A message of QoS 1 is, behind one that is held back. */
  toldBehind(outcome: Outcome): void {
    this.#told.push({ id: 0, digest: undefined, outcome })
  }

  /** PUBREL of this id is answered here. */
  expectsRelease(id: number): boolean {
    return this.#kept.has(id) || this.#releases.get(id) === true
  }

  /** Its PUBREC has not been sent. */
  isUnanswered(id: number): boolean {
    return this.#unanswered.has(id)
  }

  /** PUBREL has come. True when `released` follows, once nothing is written down any more. */
  release(id: number): boolean {
    if (!this.#kept.has(id) && !this.#releases.has(id)) return false
    this.#releases.set(id, true)
    this.#options.schedule(this)
    return true
  }

  /** What is to be written. To be called by the writer, which calls `wrote` then, even if there is nothing. */
  take(): UnreleasedChange[] {
    this.#writing = this.#told.length
    const { lease } = this
    const changes: UnreleasedChange[] = [...this.#releases.keys()].map((id) => ({ lease, id, digest: undefined }))
    // Without a PUBREC the client sends it again.
    if (this.#options.lane.isClosed) return changes
    for (const { id, digest } of this.#told) if (digest !== undefined) changes.push({ lease, id, digest })
    return changes
  }

  wrote(changes: readonly UnreleasedChange[], written: Written): void {
    const { lane } = this.#options
    if (written === 'fenced') lane.fenced()
    for (const { id, digest } of changes) {
      if (digest !== undefined) this.#wroteId(id, digest, written)
      else if (written === 'written') this.#wroteRelease(id)
    }
    let ended = this.#writing
    this.#writing = 0
    while (this.#told[ended]?.digest === undefined && ended < this.#told.length) ended += 1
    for (const { id, outcome } of this.#told.splice(0, ended)) {
      this.#unanswered.delete(id)
      lane.ended(outcome)
    }
    lane.settled()
  }

  /** Something is not written that must be. */
  get isOwed(): boolean {
    return this.#releases.size > 0 && !this.#options.lane.isClosed
  }

  /** What the client may repeat on its next connection. */
  left(unanswered: number): Repeatable | undefined {
    return this.own.repeatable(unanswered, this.#heardMs)
  }

  #wroteId(id: number, digest: Digest, written: Written): void {
    if (written === 'unsent' || written === 'fenced') return
    this.#kept.delete(id)
    this.#kept.set(id, digest)
    if (this.#kept.size <= this.#options.most) return
    const [oldest = 0] = this.#kept.keys()
    this.#forget(oldest)
    this.#options.onGivenUp()
  }

  #wroteRelease(id: number): void {
    const isAwaited = this.#releases.get(id)
    this.#releases.delete(id)
    if (isAwaited !== true) return
    this.#kept.delete(id)
    this.#options.lane.released(id)
  }

  /** Without a PUBCOMP. */
  #forget(id: number): void {
    this.#kept.delete(id)
    this.#releases.set(id, this.#releases.get(id) ?? false)
    this.#options.schedule(this)
  }
}
