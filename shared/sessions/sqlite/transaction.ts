import type { DatabaseSync } from 'node:sqlite'
import type { PageSums } from '../../storage/page-sums.ts'

/**
 * The one transaction of the file: changes gather in it until somebody who waits for one, or the time, has it committed.
 * In WAL mode with synchronous=FULL a commit is one sync of the WAL.
 */
export class Transaction {
  readonly db: DatabaseSync
  readonly #sums: PageSums | undefined
  #isOpen = false
  #isAwaited = false
  /** Transactions that were synced. */
  commits = 0

  /** `sums` owns the checkpoints of a file; undefined in memory. */
  constructor(db: DatabaseSync, sums: PageSums | undefined) {
    this.db = db
    this.#sums = sums
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Somebody waits for the commit. */
  get isAwaited(): boolean {
    return this.#isAwaited
  }

  /** A change follows that may be lost with the process: what it says is then done, or said, again. */
  soon(): void {
    if (this.#isOpen) return
    this.db.exec('BEGIN IMMEDIATE')
    this.#isOpen = true
  }

  /** A change follows that is durable before its caller hears of it. */
  now(): void {
    this.soon()
    this.#isAwaited = true
  }

  /** What the caller relies on may be in this transaction. */
  settled(): void {
    if (this.#isOpen) this.#isAwaited = true
  }

  /** Throws what SQLite says; nothing of the transaction remains then. */
  commit(): void {
    if (!this.#isOpen) return
    this.db.exec('COMMIT')
    this.#isOpen = this.#isAwaited = false
    this.commits += 1
  }

  /** Nothing of it remains. */
  rollback(): void {
    // A full disk may have rolled back already.
    if (this.db.isTransaction) this.db.exec('ROLLBACK')
    this.#isOpen = this.#isAwaited = false
  }

  /** Moves a WAL that has grown into the database. Throws a sync that failed; any other failure is met again by the next. */
  tidy(): void {
    if (!this.#isOpen) this.#sums?.checkpointIfDue()
  }

  /** Commits, and closes the database. Throws what SQLite says. */
  close(): void {
    this.commit()
    if (this.#sums === undefined) this.db.close()
    else this.#sums.close()
  }
}
