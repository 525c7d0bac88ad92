import type { PublishPacket } from 'aedes'
import type { CommandResult } from '../../../shared/commands.ts'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import { propertiesOf, toMessage, type Message } from '../../../shared/sessions/message.ts'
import type { Lease, SessionStore } from '../../../shared/sessions/port.ts'
import type { Tally } from '../metrics.ts'
import type { Stamped } from './aedes-internals.ts'
import { STORED, storedAs, type SessionEmitter } from './session-emitter.ts'

/**
 * Brings what clients publish to all that are to have it, in their order: stored for those that are away, then to the
 * subscribers here.
 */
export class Relay {
  readonly #store: SessionStore
  readonly #emitter: SessionEmitter
  readonly #tally: Tally
  readonly #share: (message: Message) => void
  /** Of each client: when all that it published before is on its way. */
  readonly #tails = new WeakMap<object, Promise<unknown>>()
  readonly #pending = new Set<Promise<unknown>>()

  /** `share` gives what is not stored to members of groups. */
  constructor(store: SessionStore, emitter: SessionEmitter, tally: Tally, share: (message: Message) => void) {
    this.#store = store
    this.#emitter = emitter
    this.#tally = tally
    this.#share = share
  }

  /**
   * Calls `done` when a message of QoS 1 or 2 is stored for all that are to have it, in the order of the client's
   * messages: aedes acknowledges it then. A retained message is a state, of which the last counts: while Redis is down
   * it is acknowledged and kept later. Anything else is not acknowledged then, nor what a file cannot store, and the client
   * is closed, so that it sends it again.
   */
  store(client: object, packet: Stamped, done: (error: Error | null) => void): void {
    const before = this.#tails.get(client)
    const stored = this.#storePacket(packet)
    const tail = Promise.allSettled([before, stored])
    this.#tails.set(client, tail)
    void this.#track(tail.then(() => stored.then(() => done(null), done)))
  }

  /** The client becomes a member of a group, or is one again. Errors: those of {@link SessionStore.join}. */
  async join(clientId: string, share: string, qos: number): Promise<void> {
    const lease = this.#store.leaseOf(clientId)
    if (lease === undefined) throw new SluiceError('session_taken_over', `${clientId} is no longer held by this node`)
    await this.#store.join(lease, share, qos)
  }

  /** The client is not to be a member of a group, if it was. Never rejects: what it may not have it does not get. */
  leave(clientId: string, share: string): void {
    const lease = this.#store.leaseOf(clientId)
    if (lease !== undefined) void this.#track(Promise.allSettled([this.#store.leave(lease, share)]))
  }

  /** The client may not have a message that is kept for it: another member of its group gets it. */
  passOn(clientId: string, number: number): void {
    const lease = this.#store.leaseOf(clientId)
    // What cannot be passed on is kept, and passed on with the session.
    if (lease !== undefined) void this.#track(Promise.allSettled([this.#store.passOn(lease, String(number))]))
  }

  /** What {@link mayFire} asks about; to be taken while the client is still known here. */
  leaseOf(clientId: string): Lease | undefined {
    return this.#store.leaseOf(clientId)
  }

  /** Whether the will of a client that is gone is to be published: not when its session is another's, or may be. */
  async mayFire(lease: Lease | undefined, packet: PublishPacket): Promise<boolean> {
    return lease !== undefined && this.#track(this.#store.takeWill(lease, toMessage(packet)))
  }

  /** A will waits for its client, which may be back on another node; to be called when its connection has ended. */
  postpone(lease: Lease, packet: PublishPacket): void {
    void this.#track(this.#store.postponeWill(lease, toMessage(packet)))
  }

  /** Publishes to all subscribers, here too. Errors: `redis_unavailable`, `disk_full`, `storage_failed`. */
  async publish(message: Message): Promise<{ stored: number; receivers: number }> {
    if (message.retain) await this.#keep(message)
    const sent = await this.#store.send(message)
    this.#tally.sessionMessagesDropped += sent.full
    if (message.qos === 0) this.#share(message)
    return { stored: sent.stored, receivers: this.deliver(message, sent.number, () => undefined) }
  }

  /** To subscribers here; `done` when it is written to each. The number of devices among them. */
  deliver(message: Message, number: number, done: () => void): number {
    const { topic, payload, qos, retain } = message
    const identity = storedAs(number)
    // aedes clears the flag, except for subscriptions that want it as published.
    const packet = { cmd: 'publish', topic, payload, qos, retain, dup: false, ...propertiesOf(message) }
    this.#emitter.deliver(packet, identity, done)
    return identity.receivers
  }

  /**
   * Publishes a command to a device that is connected here, or nowhere: "delivered" when it was written to a live session,
   * "queued" when a persistent session keeps it, else "no_session". Errors: those of {@link publish}.
   */
  async publishCommand(command: Message): Promise<CommandResult> {
    const { stored, receivers } = await this.publish(command)
    if (receivers > 0) return 'delivered'
    return stored > 0 ? 'queued' : 'no_session'
  }

  /** Resolves when all that was published is on its way, or has failed; each takes at most some seconds. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending)
  }

  async #storePacket(packet: Stamped): Promise<void> {
    const message = toMessage(packet)
    // Stamped at once: whatever comes of it, aedes does not store it a second time.
    packet.brokerId = STORED
    packet.brokerCounter = 0
    try {
      const [sent] = await Promise.all([this.#store.send(message), message.retain ? this.#keep(message) : undefined])
      packet.brokerCounter = sent.number
      this.#tally.sessionMessagesDropped += sent.full
    } catch (error) {
      if (!message.retain || toSluiceError(error).code !== 'redis_unavailable') throw error
    }
  }

  async #keep(message: Message): Promise<void> {
    if (!(await this.#store.keep(message))) this.#tally.retainedDropped += 1
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#pending.delete(tracked))
    this.#pending.add(tracked)
    return tracked
  }
}
