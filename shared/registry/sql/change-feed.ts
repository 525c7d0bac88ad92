import { randomUUID } from 'node:crypto'
import type { Kysely, Transaction } from 'kysely'
import { toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { ChangeListener } from '../port.ts'
import {
  CHANGES_PER_READ,
  changesSince,
  currentRevision,
  recordChanges,
  type Change,
  type ChangeTable,
} from './queries-changes.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

/** Between two looks for what other processes changed: how long a removed login may stay in use elsewhere. */
const POLL_EVERY_MS = 1_000

/** Whether logins ended, see `onChange`: all, none, or those of these names. */
type Ended = boolean | readonly string[]

function hasEnded(name: string, ended: Ended): boolean {
  return typeof ended === 'boolean' ? ended : ended.includes(name)
}

/**
 * Tells listeners which logins changed: what this process changed at once, what others changed within about a second.
 * Others are read from the database by number, so nothing is lost while it is down, only late.
 */
export class ChangeFeed {
  readonly #database: RegistryDatabase
  readonly #logger: Logger
  readonly #listeners = new Set<ChangeListener>()
  /** Tells our own changes from those of other processes. */
  readonly #origin = randomUUID()
  /** Number of the last change that was told. */
  #seen: number
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> = Promise.resolve()
  #failing = false
  #closed = false

  private constructor(database: RegistryDatabase, logger: Logger, seen: number) {
    this.#database = database
    this.#logger = logger
    this.#seen = seen
    this.#schedule()
  }

  /** Listening from now on. */
  static async start(database: RegistryDatabase, logger: Logger): Promise<ChangeFeed> {
    const seen = database.isShared ? await database.run(currentRevision) : 0
    return new ChangeFeed(database, logger, seen)
  }

  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Changes logins of these names in one transaction with the note for other processes. `ended`: see `onChange`. */
  async change<T>(
    db: Kysely<RegistrySchema>,
    names: readonly string[],
    work: (trx: Transaction<RegistrySchema>) => Promise<T>,
    ended: Ended = false,
  ): Promise<T> {
    return db.transaction().execute(async (trx) => {
      const result = await work(trx)
      if (!this.#database.isShared) return result
      const byEnd = Map.groupBy(names, (name) => hasEnded(name, ended))
      for (const [isEnd, some] of byEnd) await recordChanges(trx, this.#origin, some, isEnd)
      return result
    })
  }

  /** {@link change}, and then tells the listeners of this process. `work` may be run again from the start. */
  async apply<T>(
    names: readonly string[],
    work: (trx: Transaction<RegistrySchema>) => Promise<T>,
    ended: Ended = false,
  ): Promise<T> {
    const result = await this.#database.run((db) => this.change(db, names, work, ended))
    for (const name of names) this.announce(name, hasEnded(name, ended))
    return result
  }

  /** After the commit: tells the listeners of this process. */
  announce(name: string, ended = false): void {
    for (const listener of this.#listeners) {
      try {
        listener(name, ended)
      } catch (error) {
        this.#logger.error({ err: error, name }, 'a listener to changes of the registry failed')
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#polling
  }

  #schedule(): void {
    if (this.#closed || !this.#database.isShared) return
    this.#timer = setTimeout(() => {
      this.#polling = this.#poll()
    }, POLL_EVERY_MS)
  }

  /** Never rejects: what could not be read is read the next time. */
  async #poll(): Promise<void> {
    try {
      await this.#catchUp()
      this.#failing = false
    } catch (error) {
      const { code, message } = toSluiceError(error)
      // Once per outage; what uses the registry complains for itself.
      if (!this.#failing && code !== 'closed')
        this.#logger.warn({ code, detail: message }, 'changes of logins arrive late')
      this.#failing = true
    }
    this.#schedule()
  }

  async #catchUp(): Promise<void> {
    const revision = await this.#database.run(currentRevision)
    if (revision === this.#seen) return
    // The database was put back to an earlier state: anything may have changed, so everything is told.
    if (revision < this.#seen) this.#seen = 0
    const from = this.#seen
    // Both are told from the same number on, so that a failure half way repeats what it must.
    await this.#tell('registry_endings', from)
    this.#seen = Math.max(await this.#tell('registry_changes', from), revision)
  }

  /** Tells what others did after `from`; the number of the last. */
  async #tell(table: ChangeTable, from: number): Promise<number> {
    let last = from
    for (let full = true; full;) {
      const after = last
      const changes: Change[] = await this.#database.run((db) => changesSince(db, table, after))
      for (const { name, origin, revision } of changes) {
        last = revision
        if (origin !== this.#origin && !this.#closed) this.announce(name, table === 'registry_endings')
      }
      full = changes.length === CHANGES_PER_READ
    }
    return last
  }
}
