import type { PublishPacket } from 'aedes'
import type { CommandResult } from '../../../shared/commands.ts'
import { toSluiceError } from '../../../shared/errors.ts'
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
  /** Of each client: when all that it published before is on its way. */
  readonly #tails = new WeakMap<object, Promise<unknown>>()
  readonly #pending = new Set<Promise<unknown>>()

  constructor(store: SessionStore, emitter: SessionEmitter, tally: Tally) {
    this.#store = store
    this.#emitter = emitter
    this.#tally = tally
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
