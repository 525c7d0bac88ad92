import type { StatementSync } from 'node:sqlite'
import type { GroupTable } from './group-table.ts'
import type { Calls, HandedRow } from './messages.ts'
import type { QueueTable } from './queue-table.ts'
import type { Row } from './rows.ts'
import type { Transaction } from './transaction.ts'

/**
 * Messages that one member of a group is to have: in the queue of its session, persistent or not, with a mark of the group,
 * so that another one gets them when the session ends.
 */
export class SharedTable {
  readonly #transaction: Transaction
  readonly #groups: GroupTable
  readonly #queue: QueueTable
  readonly #put: StatementSync
  readonly #get: StatementSync
  readonly #remove: StatementSync
  readonly #of: StatementSync
  readonly #removeAll: StatementSync
  /** For members that are connected; told when the transaction is committed. */
  #handed: HandedRow[] = []

  constructor(transaction: Transaction, groups: GroupTable, queue: QueueTable) {
    const { db } = transaction
    this.#transaction = transaction
    this.#groups = groups
    this.#queue = queue
    this.#put = db.prepare('INSERT INTO shared (client_id, number, qos, passed, share) VALUES (?, ?, ?, ?, ?)')
    this.#get = db.prepare('SELECT qos, passed, share FROM shared WHERE client_id = ? AND number = ?')
    this.#remove = db.prepare('DELETE FROM shared WHERE client_id = ? AND number = ?')
    this.#of = db.prepare('SELECT number, qos, share FROM shared WHERE client_id = ? ORDER BY number')
    this.#removeAll = db.prepare('DELETE FROM shared WHERE client_id = ?')
    this.#load()
  }

  /** To one member of each group that wants it. */
  send({ topic, qos, bytes }: Calls['send']['ask']): { stored: number; full: number } {
    let [stored, full] = [0, 0]
    for (const share of this.#groups.sharesFor(topic)) {
      const became = this.#assign(share, bytes, qos, 0)
      if (became === 'stored') stored += 1
      if (became === 'full') full += 1
    }
    return { stored, full }
  }

  /** The client has the message, or it is no more. */
  remove(clientId: string, number: number): void {
    if (this.#get.get(clientId, number) === undefined) return
    this.#transaction.soon()
    this.#remove.run(clientId, number)
  }

  /** Another member gets it, until each has been asked. Nothing for a message of no group. */
  passOn({ clientId, number }: Calls['passOn']['ask']): void {
    const mark = this.#get.get(clientId, number)
    if (mark === undefined) return
    const bytes = this.#queue.one(clientId, number)?.bytes
    this.remove(clientId, number)
    this.#queue.remove(clientId, number)
    const [share, passed] = [String(mark['share']), Number(mark['passed']) + 1]
    if (bytes === undefined || passed > this.#groups.others(share, clientId)) return
    this.#assign(share, bytes, Number(mark['qos']), passed, clientId)
  }

  /** The session ends: to be called while its queue is there. */
  end(clientId: string): void {
    this.#groups.leaveAll(clientId)
    const marks = this.#of.all(clientId)
    if (marks.length === 0) return
    this.#transaction.soon()
    this.#removeAll.run(clientId)
    for (const mark of marks) this.#moveOn(clientId, mark)
    this.#queue.removeAll(clientId)
  }

  /** What is committed now, for members that are connected. */
  takeHanded(): readonly HandedRow[] {
    const handed = this.#handed
    this.#handed = []
    return handed
  }

  /** After changes were undone. */
  load(): void {
    this.#handed = []
  }

  /** What was sent at QoS 2 may have arrived [MQTT-4.8.2-5]. */
  #moveOn(clientId: string, mark: Row): void {
    const [number, qos] = [Number(mark['number']), Number(mark['qos'])]
    const queued = this.#queue.one(clientId, number)
    if (queued === undefined || (qos === 2 && queued.messageId !== undefined)) return
    this.#assign(String(mark['share']), queued.bytes, qos, 0, clientId)
  }

  #assign(
    share: string,
    bytes: Uint8Array,
    qos: number,
    passed: number,
    except?: string,
  ): 'stored' | 'full' | undefined {
    const chosen = this.#groups.choose(share, qos, (id) => this.#queue.isOpen(id), except)
    if (chosen === 'full') return 'full'
    if (chosen === 'nobody') return undefined
    const { clientId, qos: granted, isConnected } = chosen
    let number = 0
    if (granted > 0) {
      this.#transaction.now()
      number = this.#queue.add([clientId], bytes).number
      this.#put.run(clientId, number, granted, passed, share)
    }
    if (isConnected) this.#handed.push({ clientId, share, number, qos: granted, bytes })
    return granted > 0 ? 'stored' : undefined
  }

  /** Sessions that ended with the process: those that are not persistent. */
  #load(): void {
    const { db } = this.#transaction
    const gone = 'SELECT DISTINCT client_id FROM shared WHERE client_id NOT IN (SELECT client_id FROM session)'
    for (const row of db.prepare(gone).all()) this.end(String(row['client_id']))
  }
}
