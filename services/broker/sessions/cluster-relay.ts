import type { PublishPacket } from 'aedes'
import type { CommandResult } from '../../../shared/commands.ts'
import { toSluiceError } from '../../../shared/errors.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { AedesInternals, Stamped } from './aedes-internals.ts'
import { STORED, storedAs, type SessionEmitter } from './session-emitter.ts'
import type { Lease } from '../cluster/fence.ts'
import {
  decodeMessage,
  encodeMessage,
  ownerOfTopic,
  propertiesOf,
  toMessage,
  type Message,
} from '../cluster/messages.ts'
import { readQueue } from '../cluster/stored-queue.ts'

/** aedes' client, as far as a stored message is handed out to it. */
type DeliverTo = (clientId: string) => Pick<AedesInternals, 'deliverQoS'> | undefined

/** The other node tries its own way within this, or the command is stored from here. */
const COMMAND_MS = 3_000
/** Sessions that are looked at together. */
const CHUNK = 500

/** Brings what clients of this node publish to the whole cluster, in their order, and what others publish to clients here. */
export class ClusterRelay {
  readonly #cluster: Cluster
  readonly #emitter: SessionEmitter
  /** Of each client: when all that it published before is on its way. */
  readonly #tails = new WeakMap<object, Promise<unknown>>()
  readonly #pending = new Set<Promise<unknown>>()

  constructor(cluster: Cluster, emitter: SessionEmitter) {
    this.#cluster = cluster
    this.#emitter = emitter
    cluster.mesh.onQuestion('command', async (body) => Buffer.from(await this.publishCommand(decodeMessage(body))))
  }

  /**
   * Calls `done` when a message of QoS 1 or 2 is stored for all that are to have it, in the order of the client's
   * messages: aedes acknowledges it then. A retained message is a state, of which the last counts: while Redis is down
   * it is acknowledged and kept later. Anything else is not acknowledged then, and the client is closed, so that it
   * sends it again.
   */
  store(client: object, packet: Stamped, done: (error: Error | null) => void): void {
    const before = this.#tails.get(client)
    const stored = this.#store(packet)
    const tail = Promise.allSettled([before, stored])
    this.#tails.set(client, tail)
    void this.#track(tail.then(() => stored.then(() => done(null), done)))
  }

  /** What {@link mayFire} asks about; to be taken while the client is still known here. */
  leaseOf(clientId: string): Lease | undefined {
    return this.#cluster.fence.leaseOf(clientId)
  }

  /** Whether the will of a client that is gone is to be published: not when its session is another's, or may be. */
  async mayFire(lease: Lease | undefined, packet: PublishPacket): Promise<boolean> {
    const { fence, wills } = this.#cluster
    if (lease === undefined) return false
    try {
      return await this.#track(fence.isWillDue(lease))
    } catch (error) {
      if (toSluiceError(error).code === 'redis_unavailable') wills.owe(lease, toMessage(packet))
      return false
    }
  }

  /** A will waits for its client, which may be back on another node; to be called when its connection has ended. */
  postpone(lease: Lease, packet: PublishPacket): void {
    void this.#track(this.#cluster.wills.postpone(lease, toMessage(packet)))
  }

  /** Publishes to all subscribers, here too. Error: `redis_unavailable`. */
  async publish(message: Message): Promise<{ stored: number; receivers: number }> {
    if (message.retain) await this.#cluster.retained.keep(message)
    const sent = await this.#cluster.outbound.send(message)
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
   * Publishes a command to a device, on the node that holds it: "delivered" when it was written to a live session,
   * "queued" when a persistent session keeps it, else "no_session". Error: `redis_unavailable`.
   */
  async publishCommand(command: Message): Promise<CommandResult> {
    const { mesh } = this.#cluster
    const node = await this.#nodeOf(ownerOfTopic(command.topic))
    if (node === undefined || node === mesh.id) return this.#publishHere(command)
    try {
      const answer = (await mesh.ask(node, 'command', encodeMessage(command), COMMAND_MS)).toString()
      return answer === 'delivered' || answer === 'queued' ? answer : 'no_session'
    } catch (error) {
      if (toSluiceError(error).code !== 'node_unreachable') throw error
      return this.#publishHere(command)
    }
  }

  /** Hands out what persistent sessions here hold and were not given. Error: `redis_unavailable`. */
  async redeliver(clientOf: DeliverTo): Promise<void> {
    const { fence, mesh } = this.#cluster
    const leases = [...fence.leases()].filter(({ clean }) => !clean)
    for (let from = 0; from < leases.length; from += CHUNK) {
      const part = leases.slice(from, from + CHUNK)
      const lengths = await mesh.link.run((redis) =>
        Promise.all(part.map(({ clientId }) => redis.hlen(`sluice:queue:${clientId}`))),
      )
      for (const [index, { clientId, sent }] of part.entries()) {
        if ((lengths[index] ?? 0) <= sent.size) continue
        for await (const { number, messageId, message } of readQueue(mesh.link, clientId, new Set(sent.values()))) {
          if (messageId !== undefined) continue
          const { topic, payload, qos } = message
          // Without a broker's id aedes takes it for no repetition.
          const fields = { cmd: 'publish', topic, payload, qos, retain: false, dup: false, ...propertiesOf(message) }
          const packet = { ...fields, brokerId: undefined }
          this.#emitter.within(storedAs(Number(number)), () => clientOf(clientId)?.deliverQoS(packet, () => undefined))
        }
      }
    }
  }

  /** Resolves when all that was published is on its way, or has failed; each takes at most some seconds. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending)
  }

  async #store(packet: Stamped): Promise<void> {
    const { retained, outbound } = this.#cluster
    const message = toMessage(packet)
    // Stamped at once: whatever comes of it, aedes does not store it a second time.
    packet.brokerId = STORED
    packet.brokerCounter = 0
    try {
      const [sent] = await Promise.all([outbound.send(message), message.retain ? retained.keep(message) : undefined])
      packet.brokerCounter = sent.number
    } catch (error) {
      if (!message.retain || toSluiceError(error).code !== 'redis_unavailable') throw error
    }
  }

  async #publishHere(command: Message): Promise<CommandResult> {
    const { stored, receivers } = await this.publish(command)
    if (receivers > 0) return 'delivered'
    return stored > 0 ? 'queued' : 'no_session'
  }

  /** This node when it holds a session of the device, else another that does. */
  async #nodeOf(device: string): Promise<string | undefined> {
    const { mesh } = this.#cluster
    const records = await mesh.link.run((redis) => redis.hvals(`sluice:sessions:${device}`))
    const nodes = records.map((record) => record.split(' ')[2] ?? '').filter((node) => node !== '')
    return nodes.includes(mesh.id) ? mesh.id : nodes[0]
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#pending.delete(tracked))
    this.#pending.add(tracked)
    return tracked
  }
}
