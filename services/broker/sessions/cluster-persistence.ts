import { Readable } from 'node:stream'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import type { RedisLink } from '../../../shared/mesh/redis-link.ts'
import { willDelayOf } from '../mqtt/message-properties.ts'
import type { AedesInternals } from './aedes-internals.ts'
import { STORED } from './session-emitter.ts'
import type { Fence, Lease } from '../cluster/fence.ts'
import { encodeMessage, propertiesOf, toMessage, type PublishLike } from '../cluster/messages.ts'
import { readQueue } from '../cluster/stored-queue.ts'
import type { Retained } from '../cluster/retained.ts'
import { ACKNOWLEDGE, NOTE, SUBSCRIBE } from '../cluster/scripts.ts'
import { WILL, WILL_DONE } from '../cluster/will-delay-scripts.ts'

/** Persistent sessions of applications: each node asks all of them about each message. */
const MAX_WIDE_SESSIONS = 1_000

interface ClientLike extends Partial<Pick<AedesInternals, '_nextId'>> {
  readonly id: string
}

interface SubscriptionLike {
  readonly topic: string
  readonly qos: number
}

/** A packet of aedes on its way to a client. */
interface OutgoingLike {
  readonly cmd?: string
  readonly messageId?: number
  readonly brokerId?: string
  readonly brokerCounter?: number
}

/**
 * What aedes keeps of sessions, in Redis, each write fenced by the epoch of the session. Messages are stored for
 * sessions before aedes publishes them (outbound.ts), so its own way of doing that finds no session here. Retained messages
 * of QoS 1 and 2 are kept then, too.
 */
export class ClusterPersistence {
  readonly #link: RedisLink
  readonly #fence: Fence
  readonly #retained: Retained
  readonly #logger: Logger

  constructor(link: RedisLink, fence: Fence, retained: Retained, logger: Logger) {
    this.#link = link
    this.#fence = fence
    this.#retained = retained
    this.#logger = logger
  }

  /** aedes insists on an async function. */
  async setup(): Promise<void> {
    await Promise.resolve()
  }

  async storeRetained(packet: PublishLike & { readonly brokerId?: string }): Promise<void> {
    if (packet.brokerId !== STORED) await this.#retained.keep(toMessage(packet))
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

  async addSubscriptions(client: ClientLike, subscriptions: readonly SubscriptionLike[]): Promise<void> {
    await this.#subscribe(
      client,
      subscriptions.map(({ topic, qos }) => [topic, qos]),
    )
  }

  async removeSubscriptions(client: ClientLike, filters: readonly string[]): Promise<void> {
    await this.#subscribe(
      client,
      filters.map((filter) => [filter, -1]),
    )
  }

  async subscriptionsByClient(client: ClientLike): Promise<SubscriptionLike[]> {
    const all = await this.#link.run((redis) => redis.hgetall(`sluice:subs:${client.id}`))
    return Object.entries(all).map(([topic, qos]) => ({ topic, qos: Number(qos) }))
  }

  /** Taking the session for a clean one has done it. */
  async cleanSubscriptions(): Promise<void> {
    await Promise.resolve()
  }

  /** A message gets the id that the client will acknowledge, or its PUBREC was received. */
  async outgoingUpdate(client: ClientLike, packet: OutgoingLike): Promise<void> {
    const lease = this.#fence.leaseOf(client.id)
    const { messageId } = packet
    if (lease === undefined || messageId === undefined) return
    const number = packet.brokerId === STORED ? String(packet.brokerCounter) : lease.sent.get(messageId)
    // Not kept, because the session was full: it is sent like to a clean session.
    if (number === undefined || number === '0') return
    lease.sent.set(messageId, number)
    await this.#note(lease, 'ids', number, packet.cmd === 'pubrel' ? `${messageId} r` : String(messageId))
  }

  /** The client has acknowledged a message, or may not have it. */
  async outgoingClearMessageId(client: ClientLike, packet: OutgoingLike): Promise<OutgoingLike | undefined> {
    const lease = this.#fence.leaseOf(client.id)
    if (lease === undefined) return undefined
    const { messageId } = packet
    const sent = messageId === undefined ? undefined : lease.sent.get(messageId)
    const number = sent ?? (packet.brokerId === STORED ? String(packet.brokerCounter) : undefined)
    if (number === undefined) return undefined
    if (messageId !== undefined) lease.sent.delete(messageId)
    await this.#ifThere(() => this.#link.eval(ACKNOWLEDGE, lease.principal, client.id, lease.epoch ?? '', number))
    return packet
  }

  outgoingStream(client: ClientLike): Readable {
    const lease = this.#fence.leaseOf(client.id)
    return Readable.from(lease === undefined || lease.clean ? [] : this.#queued(lease, client))
  }

  async incomingStorePacket(client: ClientLike, { messageId = 0 }: OutgoingLike): Promise<void> {
    const lease = this.#fence.leaseOf(client.id)
    lease?.incoming.add(messageId)
    if (lease !== undefined && !lease.clean) await this.#note(lease, 'in', String(messageId), '1')
  }

  /** Rejects when the message is not known, as aedes wants it. */
  async incomingGetPacket(client: ClientLike, packet: OutgoingLike): Promise<OutgoingLike> {
    const { messageId = 0 } = packet
    const lease = this.#fence.leaseOf(client.id)
    if (lease?.incoming.has(messageId) === true) return packet
    const key = `sluice:in:${client.id}`
    const known = lease?.clean === false && (await this.#link.run((redis) => redis.hexists(key, String(messageId)))) > 0
    if (!known) throw new Error('no such packet')
    return packet
  }

  async incomingDelPacket(client: ClientLike, { messageId = 0 }: OutgoingLike): Promise<void> {
    const lease = this.#fence.leaseOf(client.id)
    lease?.incoming.delete(messageId)
    if (lease === undefined || lease.clean) return
    await this.#ifThere(() => this.#link.run((redis) => redis.hdel(`sluice:in:${client.id}`, String(messageId))))
  }

  /** A clean session's is in memory, and goes with it. */
  async cleanIncoming(): Promise<void> {
    await Promise.resolve()
  }

  async putWill(client: ClientLike, will: PublishLike): Promise<void> {
    const lease = this.#fence.leaseOf(client.id)
    if (lease?.epoch === undefined) return
    const message = toMessage(will)
    const [bytes, delay] = [encodeMessage(message), willDelayOf(message)]
    await this.#ifThere(() => this.#link.eval(WILL, lease.principal, client.id, lease.epoch ?? '', bytes, delay))
  }

  /** Never rejects: aedes does not expect it. */
  async delWill(client: ClientLike): Promise<void> {
    const lease = this.#fence.leaseOf(client.id)
    if (lease?.epoch === undefined) return
    await this.#ifThere(() => this.#link.eval(WILL_DONE, client.id, lease.epoch ?? ''))
  }

  /** Wills of other nodes are published by cluster/will-delay.ts. */
  streamWill(): Readable {
    return Readable.from([])
  }

  async *#findRetained(filters: readonly string[]): AsyncGenerator<unknown> {
    try {
      for await (const message of this.#retained.find(filters)) {
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
    for await (const { number, messageId, isReleased, message } of readQueue(this.#link, client.id, new Set())) {
      if (messageId !== undefined) {
        lease.sent.set(messageId, number)
        // Ids that are given from now on are none of those in flight.
        highest = Math.max(highest, messageId)
        client._nextId = (highest % 65_535) + 1
      }
      const known = messageId === undefined ? {} : { messageId }
      const identity = { brokerId: STORED, brokerCounter: Number(number) }
      if (isReleased) yield { cmd: 'pubrel', ...known, ...identity }
      else {
        const { topic, payload, qos } = message
        yield {
          cmd: 'publish',
          topic,
          payload,
          qos,
          retain: false,
          dup: messageId !== undefined,
          ...propertiesOf(message),
          ...known,
          ...identity,
        }
      }
    }
  }

  async #subscribe({ id }: ClientLike, changes: readonly (readonly [string, number])[]): Promise<void> {
    const lease = this.#fence.leaseOf(id)
    if (changes.length === 0) return
    if (lease?.epoch === undefined) throw new SluiceError('session_taken_over', `${id} is no longer held by this node`)
    const wide = lease.isApplication ? '1' : '0'
    const fixed = [lease.principal, id, lease.epoch, wide, MAX_WIDE_SESSIONS]
    const answer = await this.#link.eval(SUBSCRIBE, ...fixed, ...changes.flat())
    if (answer === 1) return
    if (answer === 0) throw new SluiceError('session_taken_over', `${id} is no longer held by this node`)
    const message = `${MAX_WIDE_SESSIONS} persistent sessions of applications already have subscriptions`
    throw new SluiceError('session_limit', message)
  }

  async #note(lease: Lease, hash: 'ids' | 'in', field: string, value: string): Promise<void> {
    const { principal, clientId, epoch = '' } = lease
    const answer = await this.#ifThere(() => this.#link.eval(NOTE, principal, clientId, epoch, hash, field, value))
    if (answer === 0) throw new SluiceError('session_taken_over', `${clientId} is no longer held by this node`)
  }

  /** While Redis is down a connection stays: what it could not note leads to a repetition later. */
  async #ifThere<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      const { code, message } = toSluiceError(error)
      if (code !== 'redis_unavailable') throw error
      this.#logger.debug({ detail: message }, 'a session could not be recorded')
      return undefined
    }
  }
}
