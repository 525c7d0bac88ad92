import { BACKOFF, backoffMs } from '../../../shared/backoff.ts'
import { orLate } from '../../../shared/in-time.ts'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { RecentSessions } from './recent-messages.ts'
import { Repeats, type AnsweringLane, type Written } from './repeats.ts'
import type { Lease, UnreleasedChange } from '../../../shared/sessions/port.ts'
import type { UnreleasedStore } from './unreleased.ts'

/** What is counted, as in the broker's tally. */
export interface RepeatTally {
  unrecorded: number
  idsGivenUp: number
}

export interface RepeatMemoryOptions {
  readonly store: UnreleasedStore
  readonly logger: Logger
  readonly tally: RepeatTally
  /** Messages of one client that may wait for the log. */
  readonly maxInFlight: number
}

/** Changes in one write: a script of Redis of a few milliseconds, in which it does nothing else. */
const MAX_CHANGES = 1_000
/** An open id of a client that numbers as the specification says is one of those in flight; the others it has lost. */
const IDS_PER_IN_FLIGHT = 4
/** Failures are logged this often. */
const LOG_EVERY_MS = 10_000

/** The one writer of what persistent sessions know of their messages, and what their last connections have left. */
export class RepeatMemory {
  readonly #options: RepeatMemoryOptions
  readonly #recent = new RecentSessions()
  readonly #live = new Set<Repeats>()
  readonly #due = new Set<Repeats>()
  /** Those that have something to be forgotten, which could not be. */
  readonly #owed = new Set<Repeats>()
  #isWriting = false
  #idle: (() => void)[] = []
  #failures = 0
  #again: NodeJS.Timeout | undefined
  #isClosed = false
  #loggedAt = -LOG_EVERY_MS

  constructor(options: RepeatMemoryOptions) {
    this.#options = options
  }

  /** Ids that are written down for the sessions of connections here. */
  get ids(): number {
    let ids = 0
    for (const { size } of this.#live) ids += size
    return ids
  }

  /** Sessions without connection whose last messages are remembered. */
  get recentSessions(): number {
    return this.#recent.size
  }

  /** For the connection that holds a session, until `leave`. */
  enter(lease: Lease, lane: AnsweringLane): Repeats {
    const { clientId, isPresent, left } = lease
    // It has ended since, or begins anew.
    if (!isPresent) this.#recent.forget(clientId)
    const { tally, maxInFlight } = this.#options
    const repeats = new Repeats({
      lane,
      lease,
      previous: this.#recent.take(clientId, left.epoch),
      most: maxInFlight * IDS_PER_IN_FLIGHT,
      schedule: (it) => this.#schedule(it),
      onGivenUp: () => (tally.idsGivenUp += 1),
    })
    this.#live.add(repeats)
    return repeats
  }

  /** The connection has ended, with so many messages that were not acknowledged. */
  leave(repeats: Repeats, unanswered: number): void {
    const { clientId, epoch } = repeats.lease
    this.#live.delete(repeats)
    this.#recent.leave(clientId, epoch, repeats.left(unanswered))
  }

  /** Waits until everything that was told is written, or could not be; at most `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    if (!this.#isWriting) return
    await orLate(new Promise<void>((resolve) => this.#idle.push(resolve)), limitMs)
  }

  /** To be called when no connection is left. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#again)
  }

  /** What the connections of one append have to write is written together: they are told of it in one turn. */
  #schedule(repeats: Repeats): void {
    this.#due.add(repeats)
    if (this.#isWriting || this.#isClosed) return
    this.#isWriting = true
    queueMicrotask(() => void this.#run())
  }

  /** Writes until nothing is due. Never rejects. */
  async #run(): Promise<void> {
    while (this.#due.size > 0) await this.#writeNext()
    this.#isWriting = false
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  async #writeNext(): Promise<void> {
    const taken: [Repeats, UnreleasedChange[]][] = []
    const changes: UnreleasedChange[] = []
    for (const repeats of this.#due) {
      if (changes.length >= MAX_CHANGES) break
      this.#due.delete(repeats)
      const own = repeats.take()
      taken.push([repeats, own])
      changes.push(...own)
    }
    const [written, fenced] = await this.#write(changes)
    for (const [repeats, own] of taken) repeats.wrote(own, fenced.has(repeats.lease) ? 'fenced' : written)
    if (written === 'unsent' || written === 'unknown') this.#failed(taken, changes)
    else this.#failures = 0
  }

  async #write(changes: readonly UnreleasedChange[]): Promise<[Written, ReadonlySet<Lease>]> {
    const { store } = this.#options
    if (changes.length === 0) return ['written', NONE]
    if (!store.isUp) return ['unsent', NONE]
    try {
      return ['written', await store.writeUnreleased(changes)]
    } catch (error) {
      this.#note(error)
      return ['unknown', NONE]
    }
  }

  /** PUBREC has gone out all the same; PUBCOMP must not, and so what it waits for is tried again. */
  #failed(taken: readonly [Repeats, readonly UnreleasedChange[]][], changes: readonly UnreleasedChange[]): void {
    const unrecorded = changes.filter(({ digest }) => digest !== undefined).length
    this.#options.tally.unrecorded += unrecorded
    if (unrecorded > 0) this.#note(new SluiceError('redis_unavailable', 'session Redis is unreachable'))
    const owed = taken.filter(([repeats]) => repeats.isOwed)
    if (owed.length === 0 || this.#isClosed) return
    for (const [repeats] of owed) this.#owed.add(repeats)
    this.#failures += 1
    this.#again ??= setTimeout(
      () => {
        this.#again = undefined
        const all = [...this.#owed]
        this.#owed.clear()
        for (const repeats of all) if (repeats.isOwed) this.#schedule(repeats)
      },
      backoffMs(BACKOFF.releases, this.#failures),
    ).unref()
  }

  #note(error: unknown): void {
    const now = performance.now()
    if (now - this.#loggedAt < LOG_EVERY_MS) return
    this.#loggedAt = now
    const { logger, tally } = this.#options
    const { code, message } = toSluiceError(error)
    logger.warn(
      { code, detail: message, unrecorded: tally.unrecorded },
      'ids of QoS 2 are not written down: a message whose PUBREC is lost now may be stored twice',
    )
  }
}

const NONE: ReadonlySet<Lease> = new Set()
