import { prefixOf } from '../../../shared/sessions/client-id.ts'
import type { Tally } from '../metrics.ts'
import type { SessionStore, SessionWish } from '../../../shared/sessions/port.ts'
import { Reason } from '../mqtt/v5/reason.ts'

/** A connection that may be replaced by a newer one of its login and client id. */
export interface Replaceable {
  readonly isClosed: boolean
  /** May be called again; the reason is one of MQTT 5. */
  close(reason?: number): void
  /** Resolves when aedes has forgotten the connection. */
  readonly ended: Promise<void>
}

/** A connection that has, or waits for, its client id. One for each connection: nothing more than is needed. */
interface Holder {
  readonly connection: Replaceable
  /** Resolves when all that had the id before have ended. */
  readonly before: Promise<void> | undefined
  /** Resolves when it has the id, or will not have it. */
  readonly entered: Promise<void>
}

/** A client id that a connection has. */
export interface Entered {
  /** Gives the id back. */
  readonly release: () => void
  /** Its session goes on. */
  readonly isPresent: boolean
  /** Another session of the login is gone for it. */
  readonly hasMadeRoom: boolean
}

/** Resolves when the connection, and all before it, have ended. */
async function goneOf({ connection, before, entered }: Holder): Promise<void> {
  await Promise.all([before, connection.ended, entered])
}

/** Which connection holds which scoped client id. */
export class Takeovers {
  readonly #holders = new Map<string, Holder>()
  readonly #tally: Tally
  readonly #shared: Pick<SessionStore, 'claim' | 'release'>

  constructor(tally: Tally, shared: Pick<SessionStore, 'claim' | 'release'>) {
    this.#tally = tally
    this.#shared = shared
  }

  /**
   * Takes the id, closing its holder; resolves when the holder, and all before it, have ended, so that aedes never
   * knows two clients of one id. Errors: `redis_unavailable`, `session_limit`.
   */
  async enter(clientId: string, connection: Replaceable, wish: SessionWish): Promise<Entered> {
    const holder = this.#holders.get(clientId)
    const entered = Promise.withResolvers<void>()
    const before = holder && goneOf(holder)
    const own = { connection, before, entered: entered.promise }
    this.#holders.set(clientId, own)
    if (holder !== undefined) {
      this.#tally.takeovers += 1
      holder.connection.close(Reason.takenOver)
      await before
    }
    const leave = (): void => {
      if (this.#holders.get(clientId) === own) this.#holders.delete(clientId)
    }
    try {
      const claimed = await this.#claim(clientId, connection, wish)
      const release = (): void => {
        leave()
        claimed?.release()
      }
      return { release, isPresent: claimed?.isPresent === true, hasMadeRoom: claimed?.hasMadeRoom === true }
    } catch (error) {
      leave()
      throw error
    } finally {
      entered.resolve()
    }
  }

  /** Closes the connection that holds the id; resolves when it, and all before it, have ended. */
  async evict(clientId: string): Promise<void> {
    const holder = this.#holders.get(clientId)
    if (holder === undefined) return
    this.#tally.takeovers += 1
    holder.connection.close(Reason.takenOver)
    await goneOf(holder)
  }

  /** Removes what a login that ended left, when its connections, which are being closed, are gone. */
  async forgetWith(principal: string, sessions: { forget(principal: string): Promise<void> }): Promise<void> {
    const prefix = prefixOf(principal)
    const held = [...this.#holders].filter(([id]) => id.startsWith(prefix))
    await Promise.all(held.map(([, holder]) => goneOf(holder)))
    await sessions.forget(principal)
  }

  /** Undefined when there is nothing to be released: the connection was closed meanwhile. */
  async #claim(clientId: string, connection: Replaceable, wish: SessionWish): Promise<Entered | undefined> {
    const shared = this.#shared
    if (connection.isClosed) return undefined
    const lease = await shared.claim(clientId, wish)
    const release = (): void => shared.release(lease)
    const { isPresent, hasMadeRoom } = lease
    if (hasMadeRoom) this.#tally.sessionsReplaced += 1
    if (!connection.isClosed) return { release, isPresent, hasMadeRoom }
    release()
    return undefined
  }
}
