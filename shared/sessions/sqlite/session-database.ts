import { statSync } from 'node:fs'
import { DATABASE_SUFFIXES } from '../../storage/damaged.ts'
import { IncomingTable } from './incoming-table.ts'
import { GroupTable } from './group-table.ts'
import { InLogTable } from './in-log-table.ts'
import type { Answers, Calls, DueWill, Figures, HandedRow, ThreadOptions } from './messages.ts'
import { QueueTable } from './queue-table.ts'
import { RetainedTable } from './retained-table.ts'
import { openSessionFile } from './session-file.ts'
import { SharedTable } from './shared-table.ts'
import { SessionTable } from './session-table.ts'
import { SubscriptionTable } from './subscription-table.ts'
import { Transaction } from './transaction.ts'
import { WallClock } from './wall-clock.ts'
import { WillTable } from './will-table.ts'

/** Sessions that end, and wills that are handed out, in one step. */
const AT_ONCE = 100

/** The store as its thread sees it: synchronous, one caller. What it changes is durable when `transaction` is committed. */
export class SessionDatabase {
  readonly transaction: Transaction
  /** What was found damaged. */
  readonly damage: string | undefined
  readonly answers: Answers
  readonly #file: string
  readonly #clock: WallClock
  readonly #sessions: SessionTable
  readonly #subscriptions: SubscriptionTable
  readonly #queue: QueueTable
  readonly #groups: GroupTable
  readonly #shared: SharedTable
  readonly #incoming: IncomingTable
  readonly #inLog: InLogTable
  readonly #retained: RetainedTable
  readonly #wills: WillTable

  /** Throws what SQLite says, and `data_newer`. */
  constructor({ file, bounds }: ThreadOptions, clock = new WallClock()) {
    const { db, sums, damage } = openSessionFile(file)
    this.#file = file
    this.damage = damage
    this.#clock = clock
    try {
      this.transaction = new Transaction(db, sums)
      this.#sessions = new SessionTable(this.transaction, clock, bounds.sessions)
      this.#subscriptions = new SubscriptionTable(this.transaction, bounds.wideSessions)
      this.#queue = new QueueTable(this.transaction, { messages: bounds.messages, bytes: bounds.messageBytes })
      this.#groups = new GroupTable(bounds.shared, (clientId) => this.#sessions.isConnected(clientId))
      for (const { clientId, share, qos } of this.#subscriptions.shares())
        this.#groups.join(clientId, share, { qos, clean: false })
      this.#shared = new SharedTable(this.transaction, this.#groups, this.#queue)
      this.#incoming = new IncomingTable(this.transaction)
      this.#inLog = new InLogTable(this.transaction)
      this.#retained = new RetainedTable(this.transaction, bounds.retained)
      this.#wills = new WillTable(this.transaction, clock)
      this.answers = this.#answers()
      this.#sessions.recover()
      this.#wills.recover()
      this.transaction.commit()
    } catch (error) {
      db.close()
      throw error
    }
  }

  /** One step of what is due by now: sessions end, and wills are to be published. */
  sweep(): readonly DueWill[] {
    this.#followClock()
    for (const clientId of this.#sessions.due(AT_ONCE)) {
      this.#sessions.remove(clientId)
      this.#forgetKept(clientId)
      // A will that still waits is due with its session.
      this.#wills.hasten(clientId)
    }
    return this.#wills.takeDue(AT_ONCE)
  }

  /** What is for connected members of groups, and committed. */
  takeHanded(): readonly HandedRow[] {
    return this.#shared.takeHanded()
  }

  /** After changes were undone. */
  reload(): void {
    this.#subscriptions.load()
    this.#queue.load()
    this.#shared.load()
    this.#retained.load()
  }

  /** Behind a commit. Throws what SQLite says. */
  copyTo(file: string): void {
    this.transaction.db.prepare('VACUUM INTO ?').run(file)
  }

  /** Throws what SQLite says. */
  close(): void {
    this.transaction.close()
  }

  #answers(): Answers {
    const [subscriptions, queue, incoming, wills] = [this.#subscriptions, this.#queue, this.#incoming, this.#wills]
    return {
      claim: (ask) => this.#claim(ask),
      release: (ask) => this.#release(ask),
      subscribe: ({ clientId, subscriptions: added }) => void subscriptions.add(clientId, added),
      unsubscribe: ({ clientId, filters }) => void subscriptions.remove(clientId, filters),
      subscriptions: (clientId) => subscriptions.of(clientId),
      join: ({ clientId, share, ...membership }) => void this.#groups.join(clientId, share, membership),
      leave: ({ clientId, share }) => void this.#groups.leave(clientId, share),
      passOn: (ask) => void this.#shared.passOn(ask),
      send: (ask) => this.#send(ask),
      queue: ({ clientId, after }) => queue.read(clientId, after),
      deliver: (ask) => void queue.note(ask),
      acknowledge: ({ clientId, number }) => {
        queue.remove(clientId, number)
        this.#shared.remove(clientId, number)
        return undefined
      },
      noteIncoming: ({ clientId, messageId }) => void incoming.add(clientId, messageId),
      hasIncoming: ({ clientId, messageId }) => incoming.has(clientId, messageId),
      dropIncoming: ({ clientId, messageId }) => void incoming.remove(clientId, messageId),
      writeInLog: (changes) => void this.#inLog.write(changes),
      keep: (ask) => this.#retained.keep(ask),
      retained: (ask) => this.#retained.find(ask),
      putWill: (ask) => void wills.put(ask),
      dropWill: (clientId) => void wills.remove(clientId),
      postponeWill: (ask) => void wills.postpone(ask),
      willDone: (ask) => void wills.done(ask),
      forget: (ask) => this.#forget(ask),
      figures: () => this.#figures(),
    }
  }

  #send(ask: Calls['send']['ask']): Calls['send']['answer'] {
    const alone = this.#queue.add(this.#subscriptions.sessionsFor(ask.topic), ask.bytes)
    const shared = this.#shared.send(ask)
    return { number: alone.number, stored: alone.stored + shared.stored, full: alone.full + shared.full }
  }

  #claim(ask: Calls['claim']['ask']): Calls['claim']['answer'] {
    this.#followClock()
    const { isPresent, isForgotten, hasMadeRoom } = this.#sessions.claim(ask)
    if (isForgotten) this.#forgetKept(ask.clientId)
    this.#wills.remove(ask.clientId)
    return { isPresent, hasMadeRoom, inLog: isPresent ? this.#inLog.of(ask.clientId) : [] }
  }

  #release(ask: Calls['release']['ask']): undefined {
    this.#followClock()
    if (this.#sessions.release(ask)) this.#forgetKept(ask.clientId)
    else if (ask.clean) this.#shared.end(ask.clientId)
    // One that was neither published nor postponed: its client has left.
    this.#wills.removeConnected(ask.clientId)
  }

  #forget({ prefix, place }: Calls['forget']['ask']): undefined {
    for (const clientId of this.#sessions.of(prefix)) {
      this.#sessions.remove(clientId)
      this.#forgetKept(clientId)
    }
    this.#wills.removeAll(prefix)
    if (place !== undefined) this.#retained.removeAll(place)
  }

  #forgetKept(clientId: string): void {
    this.#shared.end(clientId)
    this.#subscriptions.removeAll(clientId)
    this.#queue.removeAll(clientId)
    this.#incoming.removeAll(clientId)
    this.#inLog.removeAll(clientId)
  }

  #followClock(): void {
    const step = this.#clock.takeStep()
    if (step === 0) return
    this.#sessions.shift(step)
    this.#wills.shift(step)
  }

  #figures(): Figures {
    const { topics, bytes } = this.#retained.total
    const fileBytes = DATABASE_SUFFIXES.reduce(
      (sum, suffix) => sum + (statSync(`${this.#file}${suffix}`, { throwIfNoEntry: false })?.size ?? 0),
      0,
    )
    return { commits: this.transaction.commits, retained: topics, retainedBytes: bytes, fileBytes }
  }
}
