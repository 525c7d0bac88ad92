// Invariant: an id is written down after its message is in the log and before its PUBREC, and is gone before its PUBCOMP:
// what a store knows was stored, and what a client may use for its next message is not known any more.

/** A message by what it says: the CRC-32 of topic and payload, and the payload's length, in one safe integer. */
export type Digest = number

/** Messages of QoS 2 between PUBREC and PUBREL, by their packet ids. */
export type Unreleased = ReadonlyMap<number, Digest>

/** A persistent session, as one connection holds it. */
export interface HeldSession {
  /** Scoped by login. */
  readonly clientId: string
  /** That of its lease where nodes share sessions. */
  readonly epoch: string | undefined
}

export interface UnreleasedChange {
  readonly session: HeldSession
  readonly id: number
  /** Undefined: PUBREL has come, or the id is another message's now. */
  readonly digest: Digest | undefined
}

/** What a connection begins with. */
export interface ResumedSession {
  readonly session: HeldSession
  readonly unreleased: Unreleased
  /** The epoch of the connection before, if that was of the same session. */
  readonly previousEpoch: string | undefined
}

/**
 * Keeps what is unreleased of the telemetry of persistent sessions, as long as these last: whoever ends a session forgets
 * that too. Changes are made in the order of the calls.
 */
export interface UnreleasedStore {
  /** It can be asked: while it cannot, nothing of `write` is done, not even later. */
  readonly isUp: boolean
  /** The session that the connection has just taken. Errors: those of the engine. */
  resume(clientId: string): Promise<ResumedSession>
  /**
   * Resolves when all changes outlive this process, with the sessions that are not this node's any more: nothing was
   * changed for them. Errors: those of the engine; then any part of it may have been done, or may be later.
   */
  write(changes: readonly UnreleasedChange[]): Promise<ReadonlySet<HeldSession>>
  /** The session has ended, or begins anew. */
  forget(clientId: string): Promise<void>
}

/** In memory, for a node whose sessions are too. */
export class UnreleasedInMemory implements UnreleasedStore {
  readonly isUp = true
  readonly #sessions = new Map<string, Map<number, Digest>>()

  async resume(clientId: string): Promise<ResumedSession> {
    const unreleased = new Map(this.#sessions.get(clientId))
    return { session: { clientId, epoch: undefined }, unreleased, previousEpoch: undefined }
  }

  async write(changes: readonly UnreleasedChange[]): Promise<ReadonlySet<HeldSession>> {
    for (const { session, id, digest } of changes) {
      const known = this.#sessions.get(session.clientId) ?? new Map<number, Digest>()
      if (digest === undefined) known.delete(id)
      else this.#sessions.set(session.clientId, known.set(id, digest))
      if (known.size === 0) this.#sessions.delete(session.clientId)
    }
    return NONE
  }

  async forget(clientId: string): Promise<void> {
    this.#sessions.delete(clientId)
  }
}

const NONE: ReadonlySet<HeldSession> = new Set()
