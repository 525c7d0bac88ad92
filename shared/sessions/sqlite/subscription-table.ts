import type { StatementSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { matches } from '../../topic-filter.ts'
import { ownerOfTopic, prefixOf, principalOf } from '../client-id.ts'
import type { StoredSubscription } from '../port.ts'
import { behind, type Row } from './rows.ts'
import type { Transaction } from './transaction.ts'

const NO_LOCAL = 1
const RETAIN_AS_PUBLISHED = 2

/**
 * Subscriptions of persistent sessions. Those of a device are looked up with its messages; those of applications, at QoS 1
 * and 2, are few and in memory.
 */
export class SubscriptionTable {
  readonly #transaction: Transaction
  readonly #maxWide: number
  readonly #put: StatementSync
  readonly #remove: StatementSync
  readonly #removeAll: StatementSync
  readonly #ofSession: StatementSync
  readonly #ofLogin: StatementSync
  readonly #all: StatementSync
  readonly #shares: StatementSync
  #wide = new Map<string, Set<string>>()

  constructor(transaction: Transaction, maxWide: number) {
    const { db } = transaction
    this.#transaction = transaction
    this.#maxWide = maxWide
    this.#put = db.prepare(
      `INSERT INTO subscription (client_id, filter, qos, options) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET qos = excluded.qos, options = excluded.options`,
    )
    this.#remove = db.prepare('DELETE FROM subscription WHERE client_id = ? AND filter = ?')
    this.#removeAll = db.prepare('DELETE FROM subscription WHERE client_id = ?')
    this.#ofSession = db.prepare('SELECT filter, qos, options FROM subscription WHERE client_id = ?')
    this.#ofLogin = db.prepare(
      'SELECT client_id, filter FROM subscription WHERE client_id > ? AND client_id < ? AND qos > 0',
    )
    this.#all = db.prepare(`SELECT client_id, filter FROM subscription WHERE qos > 0 AND instr(client_id, '//')`)
    this.#shares = db.prepare(`SELECT client_id, filter, qos FROM subscription WHERE filter GLOB '$share/*'`)
    this.load()
  }

  /** Reads what is in memory again, after changes were undone. */
  load(): void {
    this.#wide = new Map()
    for (const row of this.#all.iterate()) {
      const clientId = String(row['client_id'])
      // The id that a device's client gives itself may have two slashes as well.
      if (principalOf(clientId).isApplication) this.#note(clientId, String(row['filter']))
    }
  }

  /** Error: `session_limit`. */
  add(clientId: string, subscriptions: readonly StoredSubscription[]): void {
    const wide = principalOf(clientId).isApplication
    const isWanted = subscriptions.some(({ qos }) => qos > 0)
    if (wide && isWanted && !this.#wide.has(clientId) && this.#wide.size >= this.#maxWide) {
      const message = `${this.#maxWide} persistent sessions of applications already have subscriptions`
      throw new SluiceError('session_limit', message)
    }
    const present = new Map(this.of(clientId).map((one) => [one.topic, one]))
    for (const { topic, qos, nl = false, rap = false } of subscriptions) {
      const old = present.get(topic)
      if (old?.qos === qos && old.nl === nl && old.rap === rap) continue
      this.#transaction.now()
      this.#put.run(clientId, topic, qos, (nl ? NO_LOCAL : 0) | (rap ? RETAIN_AS_PUBLISHED : 0))
      if (wide && qos > 0) this.#note(clientId, topic)
      else if (wide) this.#unnote(clientId, topic)
    }
    this.#transaction.settled()
  }

  remove(clientId: string, filters: readonly string[]): void {
    for (const filter of filters) {
      this.#transaction.now()
      this.#remove.run(clientId, filter)
      this.#unnote(clientId, filter)
    }
  }

  removeAll(clientId: string): void {
    this.#removeAll.run(clientId)
    this.#wide.delete(clientId)
  }

  /** Those that are shared, of all sessions. */
  *shares(): Generator<{ readonly clientId: string; readonly share: string; readonly qos: number }> {
    for (const row of this.#shares.iterate()) {
      yield { clientId: String(row['client_id']), share: String(row['filter']), qos: Number(row['qos']) }
    }
  }

  of(clientId: string): Required<StoredSubscription>[] {
    return this.#ofSession.all(clientId).map(toSubscription)
  }

  /** Sessions that want messages of the topic at QoS 1 or 2. */
  sessionsFor(topic: string): string[] {
    const sessions = new Set<string>()
    const owner = ownerOfTopic(topic)
    if (owner !== '') {
      const prefix = prefixOf(owner)
      for (const row of this.#ofLogin.iterate(prefix, behind(prefix))) {
        if (matches(String(row['filter']), topic)) sessions.add(String(row['client_id']))
      }
    }
    for (const [clientId, filters] of this.#wide) {
      for (const filter of filters) if (matches(filter, topic)) sessions.add(clientId)
    }
    return [...sessions]
  }

  #note(clientId: string, filter: string): void {
    const filters = this.#wide.get(clientId) ?? new Set<string>()
    this.#wide.set(clientId, filters.add(filter))
  }

  #unnote(clientId: string, filter: string): void {
    const filters = this.#wide.get(clientId)
    if (filters?.delete(filter) === true && filters.size === 0) this.#wide.delete(clientId)
  }
}

function toSubscription(row: Row): Required<StoredSubscription> {
  const options = Number(row['options'])
  const [nl, rap] = [(options & NO_LOCAL) !== 0, (options & RETAIN_AS_PUBLISHED) !== 0]
  return { topic: String(row['filter']), qos: Number(row['qos']), nl, rap }
}
