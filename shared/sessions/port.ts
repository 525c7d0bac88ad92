import type { Message } from './message.ts'

/** What a client wants of its session. */
export interface SessionWish {
  /** It begins and ends with the connection. */
  readonly clean: boolean
  /** What is kept of an earlier one is forgotten, though this one is kept. */
  readonly isNew?: boolean
  /** Seconds that it outlives the connection; undefined: it does not end. */
  readonly expiry: number | undefined
}

/** What the holder of a session before has left of its telemetry. */
export interface Left {
  /** Undefined when there was no such session. */
  readonly epoch: string | undefined
  /** Packet ids of QoS 2 between PUBREC and PUBREL, and the digests of their messages. */
  readonly unreleased: ReadonlyMap<number, number>
}

export const NOTHING_LEFT: Left = { epoch: undefined, unreleased: new Map() }

/** A session that a connection of this node holds. */
export interface Lease {
  /** Scoped by login: see {@link principalOf}. */
  readonly clientId: string
  readonly principal: string
  readonly isApplication: boolean
  readonly clean: boolean
  /** Seconds that it outlives the connection; undefined: it does not end. DISCONNECT may change it. */
  expiry: number | undefined
  /** Of a session that nodes share; undefined while no other node knows of it. */
  epoch: string | undefined
  /** It goes on: an earlier connection left it [MQTT-3.2.2-2]. */
  readonly isPresent: boolean
  /** Another session of the login is gone for it. */
  readonly hasMadeRoom: boolean
  /** Message ids given to the client -> number of the stored message. */
  readonly sent: Map<number, string>
  /** Message ids of QoS 2 that were taken and not released yet. */
  readonly incoming: Set<number>
  /** Groups that it is a member of, with the QoS. */
  readonly shares: Map<string, number>
  /** What its holder before has left of its telemetry. */
  readonly left: Left
}

/** What a lease begins with: nothing. */
export function nothingHeld(): Pick<Lease, 'sent' | 'incoming' | 'shares'> {
  return { sent: new Map(), incoming: new Set(), shares: new Map() }
}

export interface StoredSubscription {
  readonly topic: string
  readonly qos: number
  /** No Local and Retain As Published of MQTT 5. */
  readonly nl?: boolean
  readonly rap?: boolean
}

/** A change of what is unreleased of the telemetry of a session. */
export interface UnreleasedChange {
  readonly lease: Lease
  /** Packet id of a message of QoS 2. */
  readonly id: number
  /** Of the message, a safe integer; undefined: PUBREL has come, or the id is another message's now. */
  readonly digest: number | undefined
}

/** What became of a message. */
export interface Sent {
  /** Under which it is stored for all but members of groups; 0 when nobody keeps it. */
  readonly number: number
  /** Persistent sessions that keep it, and those that want it and are full. */
  readonly stored: number
  readonly full: number
}

/** A message that waits for its client. */
export interface Queued {
  /** They grow. */
  readonly number: string
  /** It was sent with this id before. */
  readonly messageId: number | undefined
  /** Its PUBREC was received. */
  readonly isReleased: boolean
  readonly message: Message
}

/** A stored message is given to its client. */
export interface Delivery {
  readonly number: string
  readonly messageId: number
  readonly qos: number
  /** Its PUBREC was received. */
  readonly isReleased: boolean
}

/** A message whose turn it is a member of a group, by the choice of the store. */
export interface SharedMessage {
  /** Of a connection of this node. */
  readonly clientId: string
  readonly share: string
  /** Under which it is kept for the member; 0 when its subscription has QoS 0. */
  readonly number: number
  /** The message has the quality at which the member gets it. */
  readonly message: Message
}

/** `done` is called when the message is written to the client, or cannot be. */
export type SharedListener = (shared: SharedMessage, done: () => void) => void

/** True when it is published or nobody may have it any more; false: it is asked for again some seconds later. */
export type PublishWill = (will: Message, principal: string) => Promise<boolean>

/**
 * What outlives connections and processes: sessions with their subscriptions and messages, retained messages, wills. It has
 * two engines: one file, for the only node, and Redis, which nodes share. What a client will be told is done is durable when
 * the promise resolves; what it cannot tell is written soon (the file: within a second), or repeated.
 *
 * Errors of the file: `disk_full`, `storage_failed` (which ends the process), `closed`; of Redis: `redis_unavailable`.
 */
export interface SessionStore {
  /**
   * A connection takes the session of its client id, and is the only one that has it until it releases it. A will that
   * waits for the client is none any more. When its login has as many persistent sessions as it may have, a new one takes
   * the place of the one that was used least recently of those that are away and keep nothing. Errors besides:
   * `session_limit`, when there is none such.
   */
  claim(clientId: string, wish: SessionWish): Promise<Lease>
  /** The connection has ended: the time of its session begins. To be called once, in the turn in which it has. */
  release(lease: Lease): void
  leaseOf(clientId: string): Lease | undefined
  /** DISCONNECT says how many seconds the session outlives the connection; undefined: it does not end. */
  endAfter(clientId: string, seconds: number | undefined): void

  /** Subscriptions of a persistent session that were granted. Errors besides: `session_limit`, `session_taken_over`. */
  subscribe(lease: Lease, subscriptions: readonly StoredSubscription[]): Promise<void>
  unsubscribe(lease: Lease, filters: readonly string[]): Promise<void>
  subscriptions(clientId: string): Promise<readonly StoredSubscription[]>

  /**
   * The session is from now on a member of the group of all that have the share, whether it is persistent or not, until it
   * ends or leaves. To be called for each connection of a persistent session. Errors besides: `session_limit`,
   * `session_taken_over`.
   */
  join(lease: Lease, share: string, qos: number): Promise<void>
  /** It gets nothing more of the group. */
  leave(lease: Lease, share: string): Promise<void>

  /**
   * A message of QoS 1 or 2 is kept for every persistent session that wants it and has room; with other nodes it is on its
   * way to those that want it. Subscribers on this node are the caller's. Of each group that wants it one member gets it:
   * by turns one that is connected, else one that is away. What the member has not acknowledged when its session ends goes
   * to another one, but for what was sent at QoS 2 [MQTT-4.8.2-5].
   */
  send(message: Message): Promise<Sent>
  /** Told of messages for members that are connected here, once they are kept. One listener. */
  onShared(listener: SharedListener): void
  /** Another member of the group gets the message, which this one may not have. Nothing for a message of no group. */
  passOn(lease: Lease, number: string): Promise<void>
  /** What the session keeps for its client, oldest first. What has expired may be left out, and is removed then. */
  queue(clientId: string): AsyncIterable<Queued>
  /** Of QoS 2 it is durable: the client may not get the message under another id. */
  noteDelivery(lease: Lease, delivery: Delivery): Promise<void>
  /** The client has the message, or may not have it. */
  acknowledge(lease: Lease, number: string): Promise<void>

  /** A message of QoS 2 of a persistent session was taken under the id. */
  noteIncoming(lease: Lease, messageId: number): Promise<void>
  hasIncoming(lease: Lease, messageId: number): Promise<boolean>
  dropIncoming(lease: Lease, messageId: number): Promise<void>

  /** It can be asked: while it cannot, nothing of `writeUnreleased` is done, not even later. */
  readonly isUp: boolean
  /**
   * What the next holder of each session finds in `left`. Resolves when all changes are durable, with the leases that do not
   * hold their session any more: nothing was changed for them. When it rejects any part may have been done, or may be later.
   */
  writeUnreleased(changes: readonly UnreleasedChange[]): Promise<ReadonlySet<Lease>>

  /**
   * Keeps a retained message in place of the one that its topic had; an empty one removes it. False when there is no room:
   * the topic has none then.
   */
  keep(message: Message): Promise<boolean>
  /** Each message once that one of the filters matches. */
  retained(filters: readonly string[]): AsyncIterable<Message>

  /** The will of a connection that has just begun. */
  putWill(lease: Lease, will: Message): Promise<void>
  dropWill(lease: Lease): Promise<void>
  /** The connection has ended: whether its will is true, and the caller's to publish. Never rejects. */
  takeWill(lease: Lease, will: Message): Promise<boolean>
  /** The connection has ended, and its will waits for its delay from now on. Never rejects. */
  postponeWill(lease: Lease, will: Message): Promise<void>

  /** What a login left that is no more: sessions without connection and, of a device, its retained messages. */
  forget(principal: string): Promise<void>
}

/** The one of a node that is the only one. */
export interface LocalSessionStore extends SessionStore {
  /** Begins to end sessions whose time is up, and to hand out wills that are due. */
  begin(publish: PublishWill): void
}
