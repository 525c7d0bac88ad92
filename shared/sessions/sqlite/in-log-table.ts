import type { StatementSync } from 'node:sqlite'
import type { InLogChange } from './messages.ts'
import type { Transaction } from './transaction.ts'

/** Packet ids of QoS 2 under which telemetry is in the log, and that are not released. */
export class InLogTable {
  readonly #transaction: Transaction
  readonly #put: StatementSync
  readonly #remove: StatementSync
  readonly #of: StatementSync
  readonly #removeAll: StatementSync

  constructor(transaction: Transaction) {
    const { db } = transaction
    this.#transaction = transaction
    this.#put = db.prepare('INSERT OR REPLACE INTO in_log (client_id, message_id, digest) VALUES (?, ?, ?)')
    this.#remove = db.prepare('DELETE FROM in_log WHERE client_id = ? AND message_id = ?')
    this.#of = db.prepare('SELECT message_id, digest FROM in_log WHERE client_id = ?')
    this.#removeAll = db.prepare('DELETE FROM in_log WHERE client_id = ?')
  }

  write(changes: readonly InLogChange[]): void {
    this.#transaction.now()
    for (const { clientId, id, digest } of changes) {
      if (digest === undefined) this.#remove.run(clientId, id)
      else this.#put.run(clientId, id, digest)
    }
  }

  /** Ids and digests by turns. */
  of(clientId: string): number[] {
    return this.#of.all(clientId).flatMap((row) => [Number(row['message_id']), Number(row['digest'])])
  }

  removeAll(clientId: string): void {
    this.#removeAll.run(clientId)
  }
}
