import type { StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { Calls, DueWill } from './messages.ts'
import { behind, checkedBytes } from './rows.ts'
import type { Transaction } from './transaction.ts'
import type { WallClock } from './wall-clock.ts'

/** A will that was handed out and is not published by then is handed out again. */
const TAKEN_MS = 10_000

/** Wills: of connections, without a time, and those that wait for their clients, by when they are due. */
export class WillTable {
  readonly #transaction: Transaction
  readonly #clock: WallClock
  readonly #put: StatementSync
  readonly #remove: StatementSync
  readonly #removeDue: StatementSync
  readonly #removeOf: StatementSync
  readonly #get: StatementSync
  readonly #setDue: StatementSync
  readonly #due: StatementSync
  readonly #shift: StatementSync

  constructor(transaction: Transaction, clock: WallClock) {
    const { db } = transaction
    this.#transaction = transaction
    this.#clock = clock
    this.#put = db.prepare(
      `INSERT INTO will (client_id, delay, due_ms, crc, message) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET
         delay = excluded.delay, due_ms = excluded.due_ms, crc = excluded.crc, message = excluded.message`,
    )
    this.#remove = db.prepare('DELETE FROM will WHERE client_id = ?')
    this.#get = db.prepare('SELECT due_ms FROM will WHERE client_id = ?')
    this.#removeOf = db.prepare('DELETE FROM will WHERE client_id > ? AND client_id < ? AND due_ms IS NOT NULL')
    this.#removeDue = db.prepare('DELETE FROM will WHERE client_id = ? AND due_ms = ?')
    this.#setDue = db.prepare('UPDATE will SET due_ms = ? WHERE client_id = ?')
    this.#due = db.prepare('SELECT client_id, crc, message FROM will WHERE due_ms <= ? LIMIT ?')
    this.#shift = db.prepare('UPDATE will SET due_ms = due_ms + ? WHERE due_ms IS NOT NULL')
  }

  /** The connections of an earlier process broke: their wills wait from now on, and none longer than its delay. */
  recover(): void {
    const { db } = this.#transaction
    const { now } = this.#clock
    if (db.prepare('SELECT 1 FROM will LIMIT 1').get() === undefined) return
    this.#transaction.soon()
    db.prepare(
      `UPDATE will SET due_ms = ? + delay * 1000 WHERE due_ms IS NULL OR due_ms > ? + delay * 1000 + ${TAKEN_MS}`,
    ).run(now, now)
  }

  /** Of a connection that has begun. */
  put({ clientId, delay, bytes }: Calls['putWill']['ask']): void {
    this.#transaction.soon()
    this.#put.run(clientId, delay, null, crc32(bytes), bytes)
  }

  /** It waits from now on. */
  postpone({ clientId, ms, bytes }: Calls['postponeWill']['ask']): void {
    this.#transaction.soon()
    this.#put.run(clientId, Math.ceil(ms / 1000), this.#clock.now + ms, crc32(bytes), bytes)
  }

  /** It was published, or is none any more. */
  remove(clientId: string): void {
    this.#removeIf(this.#get.get(clientId) !== undefined, clientId)
  }

  /** Its client has left. */
  removeConnected(clientId: string): void {
    const row = this.#get.get(clientId)
    this.#removeIf(row !== undefined && row['due_ms'] === null, clientId)
  }

  /** Those of a login that wait. A connection that is being closed takes its own with it. */
  removeAll(prefix: string): void {
    this.#transaction.soon()
    this.#removeOf.run(prefix, behind(prefix))
  }

  /** Its session has ended. */
  hasten(clientId: string): void {
    if (this.#get.get(clientId) === undefined) return
    this.#transaction.soon()
    this.#setDue.run(this.#clock.now, clientId)
  }

  /** So many at most, for their publication: {@link done} follows. Those that cannot be read are taken off. */
  takeDue(most: number): DueWill[] {
    const rows = this.#due.all(this.#clock.now, most)
    const takenUntil = this.#clock.now + TAKEN_MS
    return rows.flatMap((row) => {
      const clientId = String(row['client_id'])
      const bytes = checkedBytes(row)
      this.#transaction.soon()
      if (bytes === undefined) this.#remove.run(clientId)
      else this.#setDue.run(takenUntil, clientId)
      return bytes === undefined ? [] : [{ clientId, takenUntil, bytes }]
    })
  }

  /** It was published, unless it is another one by now. */
  done({ clientId, takenUntil }: Calls['willDone']['ask']): void {
    this.#transaction.soon()
    this.#removeDue.run(clientId, takenUntil)
  }

  /** The clock was set by so much. */
  shift(ms: number): void {
    this.#transaction.soon()
    this.#shift.run(ms)
  }

  #removeIf(isThere: boolean, clientId: string): void {
    // Most connections have none, and nothing is written for them.
    if (!isThere) return
    this.#transaction.soon()
    this.#remove.run(clientId)
  }
}
