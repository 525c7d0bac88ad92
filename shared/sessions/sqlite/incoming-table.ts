import type { StatementSync } from 'node:sqlite'
import type { Transaction } from './transaction.ts'

/** Message ids of QoS 2 that persistent sessions have taken and not released. */
export class IncomingTable {
  readonly #transaction: Transaction
  readonly #insert: StatementSync
  readonly #get: StatementSync
  readonly #remove: StatementSync
  readonly #removeAll: StatementSync

  constructor(transaction: Transaction) {
    const { db } = transaction
    this.#transaction = transaction
    this.#insert = db.prepare('INSERT OR IGNORE INTO incoming (client_id, message_id) VALUES (?, ?)')
    this.#get = db.prepare('SELECT 1 FROM incoming WHERE client_id = ? AND message_id = ?')
    this.#remove = db.prepare('DELETE FROM incoming WHERE client_id = ? AND message_id = ?')
    this.#removeAll = db.prepare('DELETE FROM incoming WHERE client_id = ?')
  }

  add(clientId: string, messageId: number): void {
    this.#transaction.now()
    this.#insert.run(clientId, messageId)
  }

  has(clientId: string, messageId: number): boolean {
    return this.#get.get(clientId, messageId) !== undefined
  }

  remove(clientId: string, messageId: number): void {
    this.#transaction.soon()
    this.#remove.run(clientId, messageId)
  }

  removeAll(clientId: string): void {
    this.#removeAll.run(clientId)
  }
}
