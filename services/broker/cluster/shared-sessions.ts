/** What a client wants of its session. */
export interface SessionWish {
  /** It begins and ends with the connection. */
  readonly clean: boolean
  /** What is kept of an earlier one is forgotten, though this one is kept. */
  readonly isNew?: boolean
  /** Seconds that it outlives the connection; undefined: it does not end. */
  readonly expiry: number | undefined
}

/** Sessions, which nodes may share: each belongs to one connection of one node. */
export interface SharedSessions<L extends SharedLease> {
  /** Takes the session, from another node if need be. Errors: `redis_unavailable`, `session_limit`. */
  claim(clientId: string, wish: SessionWish): Promise<L>
  release(lease: L): void
}

/** A session that was taken. */
export interface SharedLease {
  readonly clientId: string
  /** Undefined for one that no other node knows of. */
  readonly epoch: string | undefined
  /** It goes on: an earlier connection left it [MQTT-3.2.2-2]. */
  readonly isPresent: boolean
}
