import type { StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { Calls, QueuedRow } from './messages.ts'
import { checkedBytes, optionalNumber } from './rows.ts'
import type { Transaction } from './transaction.ts'

/** Messages that are read together, and their bytes: 1,000 of 64 KB at once would be too much for one client. */
const CHUNK = 50
const CHUNK_BYTES = 1024 * 1024

interface Kept {
  messages: number
  bytes: number
}

/** Messages that wait for the clients of persistent sessions. */
export class QueueTable {
  readonly #transaction: Transaction
  readonly #max: Kept
  readonly #insert: StatementSync
  readonly #count: StatementSync
  readonly #read: StatementSync
  readonly #one: StatementSync
  readonly #length: StatementSync
  readonly #note: StatementSync
  readonly #remove: StatementSync
  readonly #removeAll: StatementSync
  readonly #last: StatementSync
  /** Of sessions that something was put into or taken from. */
  readonly #kept = new Map<string, Kept>()
  #number = 0

  constructor(transaction: Transaction, max: Readonly<Kept>) {
    const { db } = transaction
    this.#transaction = transaction
    this.#max = max
    this.#insert = db.prepare('INSERT INTO queue (client_id, number, crc, message) VALUES (?, ?, ?, ?)')
    this.#count = db.prepare(
      'SELECT count(*) AS messages, total(length(message)) AS bytes FROM queue WHERE client_id = ?',
    )
    this.#read = db.prepare('SELECT * FROM queue WHERE client_id = ? AND number > ? ORDER BY number')
    this.#one = db.prepare('SELECT * FROM queue WHERE client_id = ? AND number = ?')
    this.#length = db.prepare('SELECT length(message) AS bytes FROM queue WHERE client_id = ? AND number = ?')
    this.#note = db.prepare('UPDATE queue SET message_id = ?, is_released = ? WHERE client_id = ? AND number = ?')
    this.#remove = db.prepare('DELETE FROM queue WHERE client_id = ? AND number = ?')
    this.#removeAll = db.prepare('DELETE FROM queue WHERE client_id = ?')
    this.#last = db.prepare('SELECT max(number) AS number FROM queue')
    this.load()
  }

  /** Reads what is in memory again, after changes were undone. */
  load(): void {
    this.#kept.clear()
    this.#number = Math.max(this.#number, Number(this.#last.get()?.['number'] ?? 0))
  }

  /** Into the queue of each of the sessions that has room. */
  add(clientIds: readonly string[], bytes: Uint8Array): Calls['send']['answer'] {
    if (clientIds.length === 0) return { number: 0, stored: 0, full: 0 }
    const open = clientIds.filter((clientId) => this.isOpen(clientId))
    this.#number += 1
    const crc = crc32(bytes)
    for (const clientId of open) {
      this.#transaction.now()
      // Before the change: what is in memory may be read from the table.
      this.#change(clientId, 1, bytes.length)
      this.#insert.run(clientId, this.#number, crc, bytes)
    }
    return { number: this.#number, stored: open.length, full: clientIds.length - open.length }
  }

  /** One message, unless it is damaged. */
  one(clientId: string, number: number): Pick<QueuedRow, 'messageId' | 'bytes'> | undefined {
    const row = this.#one.get(clientId, number)
    const bytes = row && checkedBytes(row)
    return bytes === undefined ? undefined : { messageId: optionalNumber(row ?? {}, 'message_id'), bytes }
  }

  /** It has room for one more. */
  isOpen(clientId: string): boolean {
    return this.#hasRoom(this.#keptOf(clientId))
  }

  read(clientId: string, after: number): Calls['queue']['answer'] {
    const rows: QueuedRow[] = []
    let [total, damaged] = [0, 0]
    for (const row of this.#read.iterate(clientId, after)) {
      const number = Number(row['number'])
      const bytes = checkedBytes(row)
      if (bytes === undefined) {
        damaged += 1
        continue
      }
      rows.push({ number, messageId: optionalNumber(row, 'message_id'), isReleased: row['is_released'] === 1, bytes })
      total += bytes.length
      if (rows.length >= CHUNK || total >= CHUNK_BYTES) break
    }
    return { rows, damaged }
  }

  note({ clientId, number, messageId, isReleased, isAwaited }: Calls['deliver']['ask']): void {
    if (isAwaited) this.#transaction.now()
    else this.#transaction.soon()
    this.#note.run(messageId, isReleased ? 1 : 0, clientId, number)
  }

  remove(clientId: string, number: number): void {
    const length = this.#length.get(clientId, number)?.['bytes']
    if (length === undefined) return
    this.#change(clientId, -1, -Number(length))
    this.#transaction.soon()
    this.#remove.run(clientId, number)
  }

  removeAll(clientId: string): void {
    this.#removeAll.run(clientId)
    this.#kept.delete(clientId)
  }

  #keptOf(clientId: string): Kept {
    const known = this.#kept.get(clientId)
    if (known !== undefined) return known
    const row = this.#count.get(clientId)
    return { messages: Number(row?.['messages']), bytes: Number(row?.['bytes']) }
  }

  #change(clientId: string, messages: number, bytes: number): void {
    const kept = this.#keptOf(clientId)
    kept.messages += messages
    kept.bytes += bytes
    if (kept.messages <= 0) this.#kept.delete(clientId)
    else this.#kept.set(clientId, kept)
  }

  #hasRoom({ messages, bytes }: Kept): boolean {
    return messages < this.#max.messages && bytes < this.#max.bytes
  }
}
