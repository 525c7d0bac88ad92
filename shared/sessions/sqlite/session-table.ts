import type { StatementSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { prefixOf, principalOf } from '../client-id.ts'
import type { Calls, ClaimAsk } from './messages.ts'
import { behind, optionalNumber } from './rows.ts'
import type { Transaction } from './transaction.ts'
import type { WallClock } from './wall-clock.ts'

/** Tables with what a session keeps for its client, or of it. */
const KEPT_IN = ['subscription', 'queue', 'incoming', 'in_log', 'will']

/** What became of a claim. */
export interface Claimed {
  readonly isPresent: boolean
  /** What is kept of it is to be forgotten. */
  readonly isForgotten: boolean
  /** Another session of the login, which kept nothing, is gone for it. */
  readonly hasMadeRoom: boolean
}

/**
 * Persistent sessions. A session is written as it begins and as its connection ends, and one with an expiry as its client
 * returns.
 */
export class SessionTable {
  readonly #transaction: Transaction
  readonly #clock: WallClock
  readonly #max: number
  readonly #get: StatementSync
  readonly #ofLogin: StatementSync
  readonly #put: StatementSync
  readonly #remove: StatementSync
  readonly #leave: StatementSync
  readonly #empty: StatementSync
  readonly #due: StatementSync
  readonly #shift: StatementSync
  /** Persistent ones that have a connection. */
  readonly #connected = new Set<string>()
  /** The last that was given out. */
  #number: number

  constructor(transaction: Transaction, clock: WallClock, max: number) {
    const { db } = transaction
    this.#transaction = transaction
    this.#clock = clock
    this.#max = max
    this.#get = db.prepare('SELECT expiry, ends_ms FROM session WHERE client_id = ?')
    this.#ofLogin = db.prepare('SELECT client_id FROM session WHERE client_id > ? AND client_id < ?')
    this.#put = db.prepare(
      `INSERT INTO session (client_id, expiry, ends_ms, left_number) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET expiry = excluded.expiry, ends_ms = excluded.ends_ms, left_number = excluded.left_number`,
    )
    this.#remove = db.prepare('DELETE FROM session WHERE client_id = ?')
    this.#leave = db.prepare('UPDATE session SET left_number = ? WHERE client_id = ?')
    const isNowhere = KEPT_IN.map((table) => `NOT EXISTS (SELECT 1 FROM ${table} WHERE client_id = session.client_id)`)
    this.#empty = db.prepare(
      `SELECT client_id FROM session WHERE client_id > ? AND client_id < ? AND ${isNowhere.join(' AND ')}
       ORDER BY left_number`,
    )
    this.#number = Number(db.prepare('SELECT max(left_number) AS number FROM session').get()?.['number'] ?? 0)
    this.#due = db.prepare('SELECT client_id FROM session WHERE ends_ms <= ? LIMIT ?')
    this.#shift = db.prepare('UPDATE session SET ends_ms = ends_ms + ? WHERE ends_ms IS NOT NULL')
  }

  /**
   * The connections of an earlier process have ended, and the time of their sessions begins. None has more left than was
   * said, however wrong the clock was that wrote when it ends.
   */
  recover(): void {
    const { db } = this.#transaction
    const { now } = this.#clock
    const late = 'ends_ms IS NULL OR ends_ms > ? + expiry * 1000'
    const found = db.prepare(`SELECT 1 FROM session WHERE expiry IS NOT NULL AND (${late}) LIMIT 1`).get(now)
    if (found === undefined) return
    this.#transaction.soon()
    db.prepare(`UPDATE session SET ends_ms = ? + expiry * 1000 WHERE expiry IS NOT NULL AND (${late})`).run(now, now)
  }

  /** Error: `session_limit`. */
  claim({ clientId, clean, isNew, expiry }: ClaimAsk): Claimed {
    const old = this.#get.get(clientId)
    const endsMs = old === undefined ? undefined : optionalNumber(old, 'ends_ms')
    const isOver = endsMs !== undefined && endsMs <= this.#clock.now
    if (clean) {
      if (old !== undefined) this.remove(clientId)
      return { isPresent: false, isForgotten: old !== undefined, hasMadeRoom: false }
    }
    const hasMadeRoom = old === undefined && this.#makeRoom(clientId)
    this.#connected.add(clientId)
    if (old === undefined || isNew || isOver) this.#transaction.now()
    const isSame = old !== undefined && endsMs === undefined && optionalNumber(old, 'expiry') === expiry
    if (!isSame) {
      this.#transaction.soon()
      this.#put.run(clientId, expiry ?? null, null, ++this.#number)
    }
    const isForgotten = old !== undefined && (isNew || isOver)
    return { isPresent: old !== undefined && !isForgotten, isForgotten, hasMadeRoom }
  }

  /** Asked about a persistent one. */
  isConnected(clientId: string): boolean {
    return this.#connected.has(clientId)
  }

  /** Whether what is kept of the session is to be forgotten. */
  release({ clientId, clean, expiry }: Calls['release']['ask']): boolean {
    this.#connected.delete(clientId)
    const old = clean ? undefined : this.#get.get(clientId)
    if (old === undefined) return false
    this.#transaction.soon()
    if (expiry === 0) {
      this.#remove.run(clientId)
      return true
    }
    this.#number += 1
    if (expiry === undefined && optionalNumber(old, 'expiry') === undefined) this.#leave.run(this.#number, clientId)
    else this.#put.run(clientId, expiry ?? null, endOf(this.#clock.now, expiry), this.#number)
    return false
  }

  remove(clientId: string): void {
    this.#transaction.now()
    this.#remove.run(clientId)
  }

  /** Those of a login. */
  of(prefix: string): string[] {
    return this.#ofLogin.all(prefix, behind(prefix)).map((row) => String(row['client_id']))
  }

  /** Sessions whose time is up: so many at most. */
  due(most: number): string[] {
    return this.#due.all(this.#clock.now, most).map((row) => String(row['client_id']))
  }

  /** The clock was set by so much. */
  shift(ms: number): void {
    this.#transaction.soon()
    this.#shift.run(ms)
  }

  /**
   * A client that makes up an id at each start would be locked out for good: the session that was used least recently, of
   * those that are away and keep nothing, is gone then. False when there was room; error when none is such.
   */
  #makeRoom(clientId: string): boolean {
    const { name } = principalOf(clientId)
    const prefix = prefixOf(name)
    const { length } = this.of(prefix)
    if (length < this.#max) return false
    for (const row of this.#empty.all(prefix, behind(prefix))) {
      const id = String(row['client_id'])
      if (this.#connected.has(id)) continue
      this.remove(id)
      return true
    }
    throw new SluiceError('session_limit', `${name} has ${length} persistent sessions in use`)
  }
}

/** When a session ends whose connection ends now; null when it does not. */
function endOf(now: number, expiry: number | undefined): number | null {
  return expiry === undefined ? null : now + expiry * 1000
}
