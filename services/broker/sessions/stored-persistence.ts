import { Readable } from 'node:stream'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { propertiesOf, toMessage, type PublishLike } from '../../../shared/sessions/message.ts'
import type { Lease, Queued, SessionStore, StoredSubscription } from '../../../shared/sessions/port.ts'
import type { Tally } from '../metrics.ts'
import type { AedesInternals } from './aedes-internals.ts'
import { isShare } from '../../../shared/shared-subscription.ts'
import { SHARED, STORED, STORED_RETAINED } from './session-emitter.ts'

interface ClientLike extends Partial<Pick<AedesInternals, '_nextId'>> {
  readonly id: string
}

/** A packet of aedes on its way to a client. */
interface OutgoingLike {
  readonly cmd?: string
  readonly messageId?: number
  readonly qos?: number
  readonly brokerId?: string
  readonly brokerCounter?: number
  retain?: boolean
}

/**
 * What aedes keeps of sessions, in a {@link SessionStore}. Messages are stored for sessions before aedes publishes them
 * (relay.ts), so its own way of doing that finds no session here. Retained messages of QoS 1 and 2 are kept then, too.
 */
export class StoredPersistence {
  readonly #store: SessionStore
  readonly #logger: Logger
  readonly #tally: Tally

  constructor(store: SessionStore, logger: Logger, tally: Tally) {
    this.#store = store
    this.#logger = logger
    this.#tally = tally
  }

  /** aedes insists on an async function. */
  async setup(): Promise<void> {
    await Promise.resolve()
  }

  async storeRetained(packet: PublishLike & { readonly brokerId?: string }): Promise<void> {
    if (packet.brokerId === STORED) return
    if (!(await this.#store.keep(toMessage(packet)))) this.#tally.retainedDropped += 1
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(this.#findRetained(filters))
  }

  async subscriptionsByTopic(): Promise<[]> {
    return Promise.resolve([])
  }

  async outgoingEnqueueCombi(): Promise<void> {
    await Promise.resolve()
  }

  async addSubscriptions({ id }: ClientLike, subscriptions: readonly StoredSubscription[]): Promise<void> {
    const lease = this.#held(id)
    // A member of a group is none to aedes; see aedes-hooks.ts.
    if (subscriptions.length === 0 || lease.clean) return
    await this.#store.subscribe(lease, subscriptions.map(storedOf))
  }

  async removeSubscriptions({ id }: ClientLike, filters: readonly string[]): Promise<void> {
    const lease = this.#held(id)
    for (const share of filters.filter(isShare)) await this.#store.leave(lease, share)
    if (filters.length > 0 && !lease.clean) await this.#store.unsubscribe(lease, filters)
  }

  async subscriptionsByClient({ id }: ClientLike): Promise<readonly StoredSubscription[]> {
    return this.#store.subscriptions(id)
  }

  /** Taking the session for a clean one has done it. */
  async cleanSubscriptions(): Promise<void> {
    await Promise.resolve()
  }

  /** A message gets the id that the client will acknowledge, or its PUBREC was received. */
  async outgoingUpdate({ id }: ClientLike, packet: OutgoingLike): Promise<void> {
    const isRetained = packet.brokerId === STORED_RETAINED
    // This very packet is written next.
    if (isRetained) packet.retain = true
    const lease = this.#store.leaseOf(id)
    const { messageId, qos = 0 } = packet
    if (lease === undefined || messageId === undefined) return
    const isStored = isRetained || packet.brokerId === STORED
    // Nothing of it is kept.
    if (lease.clean && isStored) return
    const isOurs = isStored || packet.brokerId === SHARED
    const number = isOurs ? String(packet.brokerCounter) : lease.sent.get(messageId)
    // Not kept, because the session was full: it is sent like to a clean session.
    if (number === undefined || number === '0') return
    const isReleased = packet.cmd === 'pubrel'
    // Sent again, as it was noted before.
    if (isReleased ? isOurs : lease.sent.get(messageId) === number) return
    lease.sent.set(messageId, number)
    // No later connection sends it again; of QoS 2 no other member either.
    if (lease.clean && qos < 2 && !isReleased) return
    await this.#store.noteDelivery(lease, { number, messageId, qos, isReleased })
  }

  /** The client has acknowledged a message, or may not have it. */
  async outgoingClearMessageId({ id }: ClientLike, packet: OutgoingLike): Promise<OutgoingLike | undefined> {
    const lease = this.#store.leaseOf(id)
    if (lease === undefined) return undefined
    const { messageId } = packet
    const sent = messageId === undefined ? undefined : lease.sent.get(messageId)
    const isOurs = packet.brokerId === STORED || packet.brokerId === SHARED
    const number = sent ?? (isOurs ? String(packet.brokerCounter) : undefined)
    if (number === undefined) return undefined
    if (messageId !== undefined) lease.sent.delete(messageId)
    await this.#store.acknowledge(lease, number)
    return packet
  }

  outgoingStream(client: ClientLike): Readable {
    const lease = this.#store.leaseOf(client.id)
    return Readable.from(lease === undefined || lease.clean ? [] : this.#queued(lease, client))
  }

  async incomingStorePacket({ id }: ClientLike, { messageId = 0 }: OutgoingLike): Promise<void> {
    const lease = this.#store.leaseOf(id)
    lease?.incoming.add(messageId)
    if (lease?.clean === false) await this.#store.noteIncoming(lease, messageId)
  }

  /** Rejects when the message is not known, as aedes wants it. */
  async incomingGetPacket({ id }: ClientLike, packet: OutgoingLike): Promise<OutgoingLike> {
    const { messageId = 0 } = packet
    const lease = this.#store.leaseOf(id)
    if (lease?.incoming.has(messageId) === true) return packet
    const isKnown = lease?.clean === false && (await this.#store.hasIncoming(lease, messageId))
    if (!isKnown) throw new Error('no such packet')
    return packet
  }

  async incomingDelPacket({ id }: ClientLike, { messageId = 0 }: OutgoingLike): Promise<void> {
    const lease = this.#store.leaseOf(id)
    lease?.incoming.delete(messageId)
    if (lease?.clean === false) await this.#store.dropIncoming(lease, messageId)
  }

  /** A clean session's is in memory, and goes with it. */
  async cleanIncoming(): Promise<void> {
    await Promise.resolve()
  }

  async putWill({ id }: ClientLike, will: PublishLike): Promise<void> {
    const lease = this.#store.leaseOf(id)
    if (lease !== undefined) await this.#store.putWill(lease, toMessage(will))
  }

  /** Never rejects: aedes does not expect it. */
  async delWill({ id }: ClientLike): Promise<void> {
    const lease = this.#store.leaseOf(id)
    if (lease !== undefined) await this.#store.dropWill(lease)
  }

  /** Wills of connections that are gone without a word are the store's. */
  streamWill(): Readable {
    return Readable.from([])
  }

  async *#findRetained(filters: readonly string[]): AsyncGenerator<unknown> {
    try {
      for await (const message of this.#store.retained(filters)) {
        const { topic, payload, qos } = message
        yield { cmd: 'publish', topic, payload, qos, retain: true, ...propertiesOf(message) }
      }
    } catch (error) {
      // aedes does not listen for errors of this stream; the subscription stands, and gets what comes from now on.
      const detail = toSluiceError(error).message
      this.#logger.warn({ detail }, 'retained messages for a subscription could not be read')
    }
  }

  async *#queued(lease: Lease, client: ClientLike): AsyncGenerator<unknown> {
    let highest = 0
    for await (const queued of this.#store.queue(client.id)) {
      const { number, messageId } = queued
      if (messageId !== undefined) {
        lease.sent.set(messageId, number)
        // Ids that are given from now on are none of those in flight.
        highest = Math.max(highest, messageId)
        client._nextId = (highest % 65_535) + 1
      }
      yield packetOf(queued)
    }
  }

  #held(clientId: string): Lease {
    const lease = this.#store.leaseOf(clientId)
    if (lease !== undefined) return lease
    throw new SluiceError('session_taken_over', `${clientId} is no longer held by this node`)
  }
}

/** As aedes gets it from its storage. */
function packetOf({ number, messageId, isReleased, message }: Queued): unknown {
  const known = messageId === undefined ? {} : { messageId }
  const identity = { brokerId: STORED, brokerCounter: Number(number) }
  if (isReleased) return { cmd: 'pubrel', ...known, ...identity }
  const { topic, payload, qos, retain } = message
  const sent = { retain, dup: messageId !== undefined, ...known, ...identity }
  return { cmd: 'publish', topic, payload, qos, ...propertiesOf(message), ...sent }
}

/** Of what aedes knows of a subscription. */
function storedOf({ topic, qos, nl = false, rap = false }: StoredSubscription): StoredSubscription {
  return { topic, qos, nl, rap }
}
