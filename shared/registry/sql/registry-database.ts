import type { Kysely } from 'kysely'
import { BACKOFF, backoffMs, pause } from '../../backoff.ts'
import { SluiceError } from '../../errors.ts'
import { ANY_ROOM, type Room } from '../../storage/room.ts'
import type { SqlFlavour } from './sql-flavour.ts'
import type { RegistrySchema } from './schema.ts'

/**
 * Attempts at work that the database gives up to let other work finish: a handful of writers, each holding few locks for
 * milliseconds, are through long before. The pauses between them are 1.3 s in all at most.
 */
const MAX_ATTEMPTS = 8
/** No further attempt is begun after this time, so that a caller hears of trouble while it can still act. */
const GIVE_UP_AFTER_MS = 10_000

/** The database of a registry: errors leave as SluiceErrors, and it closes behind what is running. */
export class RegistryDatabase {
  readonly #db: Kysely<RegistrySchema>
  readonly #flavour: SqlFlavour
  readonly #room: Room
  readonly #running = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor(db: Kysely<RegistrySchema>, flavour: SqlFlavour, room: Room = ANY_ROOM) {
    this.#room = room
    this.#db = db
    this.#flavour = flavour
  }

  /** Other processes may change it too. */
  get isShared(): boolean {
    return this.#flavour.isShared
  }

  /** To be called before anything is made. Error: `disk_full`. */
  checkRoom(): void {
    this.#room.check()
  }

  /**
   * `work` is statements or transactions that may be run again from the start: it is when the database gave it up for
   * other work. Errors: those of the flavour, `closed`.
   */
  async run<T>(work: (db: Kysely<RegistrySchema>) => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw new SluiceError('closed', 'the registry is closed')
    const running = this.#attempts(work)
    this.#running.add(running)
    try {
      return await running
    } catch (error) {
      throw this.#flavour.toSluiceError(error)
    } finally {
      this.#running.delete(running)
    }
  }

  /** Waits for what is running; nothing new begins. Errors: those of the flavour. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #attempts<T>(work: (db: Kysely<RegistrySchema>) => Promise<T>): Promise<T> {
    const end = performance.now() + GIVE_UP_AFTER_MS
    for (let attempt = 1; ; attempt++) {
      try {
        return await work(this.#db)
      } catch (error) {
        const again = this.#flavour.isConflict(error) && attempt < MAX_ATTEMPTS && performance.now() < end
        if (!again) throw error
      }
      await pause(backoffMs(BACKOFF.conflict, attempt))
    }
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#running)
    try {
      await this.#db.destroy()
    } catch (error) {
      throw this.#flavour.toSluiceError(error)
    }
  }
}
