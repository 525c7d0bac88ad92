import type { StatementSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { prefixOf, principalOf } from '../client-id.ts'
import type { Calls, ClaimAsk } from './messages.ts'
import { behind, optionalNumber } from './rows.ts'
import type { Transaction } from './transaction.ts'
import type { WallClock } from './wall-clock.ts'

/**
 * Persistent sessions. Without an expiry a session is written once; with one, when it ends is written as its connection
 * ends, and taken back as its client returns.
 */
export class SessionTable {
  readonly #transaction: Transaction
  readonly #clock: WallClock
  readonly #max: number
  readonly #get: StatementSync
  readonly #ofLogin: StatementSync
  readonly #put: StatementSync
  readonly #remove: StatementSync
  readonly #due: StatementSync
  readonly #shift: StatementSync

  constructor(transaction: Transaction, clock: WallClock, max: number) {
    const { db } = transaction
    this.#transaction = transaction
    this.#clock = clock
    this.#max = max
    this.#get = db.prepare('SELECT expiry, ends_ms FROM session WHERE client_id = ?')
    this.#ofLogin = db.prepare('SELECT client_id FROM session WHERE client_id > ? AND client_id < ?')
    this.#put = db.prepare(
      `INSERT INTO session (client_id, expiry, ends_ms) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET expiry = excluded.expiry, ends_ms = excluded.ends_ms`,
    )
    this.#remove = db.prepare('DELETE FROM session WHERE client_id = ?')
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

  /** What is to be forgotten of the session, and whether it goes on. Error: `session_limit`. */
  claim({ clientId, clean, isNew, expiry }: ClaimAsk): { isPresent: boolean; isForgotten: boolean } {
    const old = this.#get.get(clientId)
    const endsMs = old === undefined ? undefined : optionalNumber(old, 'ends_ms')
    const isOver = endsMs !== undefined && endsMs <= this.#clock.now
    if (clean) {
      if (old !== undefined) this.remove(clientId)
      return { isPresent: false, isForgotten: old !== undefined }
    }
    if (old === undefined) this.#checkRoom(clientId)
    if (old === undefined || isNew || isOver) this.#transaction.now()
    const isSame = old !== undefined && endsMs === undefined && optionalNumber(old, 'expiry') === expiry
    if (!isSame) {
      this.#transaction.soon()
      this.#put.run(clientId, expiry ?? null, null)
    }
    return { isPresent: old !== undefined && !isNew && !isOver, isForgotten: old !== undefined && (isNew || isOver) }
  }

  /** Whether what is kept of the session is to be forgotten. */
  release({ clientId, clean, expiry }: Calls['release']['ask']): boolean {
    const old = clean ? undefined : this.#get.get(clientId)
    if (old === undefined) return false
    if (expiry === undefined && optionalNumber(old, 'expiry') === undefined) return false
    this.#transaction.soon()
    if (expiry === 0) {
      this.#remove.run(clientId)
      return true
    }
    this.#put.run(clientId, expiry ?? null, expiry === undefined ? null : this.#clock.now + expiry * 1000)
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

  #checkRoom(clientId: string): void {
    const { name } = principalOf(clientId)
    const { length } = this.of(prefixOf(name))
    if (length >= this.#max) throw new SluiceError('session_limit', `${name} has ${length} persistent sessions`)
  }
}
