import type { Tally } from '../metrics.ts'
import { sizeOf } from '../mqtt/message-properties.ts'
import type { Persistence, Waiting } from './aedes-internals.ts'
import type { WithProperties } from './payload-properties.ts'
import { MAX_RETAINED, RetainedQuota } from '../access/retained-quota.ts'
import { MAX_PER_SESSION } from '../access/session-quota.ts'

/** What a session keeps. */
interface Kept {
  messages: number
  bytes: number
  /** Bytes of messages of QoS 2 by their id: when they are acknowledged, a PUBREL is left of them. */
  readonly released: Map<number, number>
}

/**
 * Bounds what aedes keeps in memory without one. A session that is full takes no newer messages (a client that is
 * connected and acknowledges nothing is disconnected by aedes then); a message beyond the bounds is not retained,
 * but delivered. Both are counted. The result removes retained messages of topics that begin with `below`.
 */
export function limitPersistence(persistence: Persistence, tally: Tally): (below: string) => Promise<void> {
  limitQueues(persistence, tally)
  // Of QoS 2 the id is remembered, until its PUBREL: the message was published, and is not asked for again.
  const incoming = persistence.incomingStorePacket.bind(persistence)
  persistence.incomingStorePacket = (client, { messageId }) => incoming(client, { messageId })
  const quota = new RetainedQuota(MAX_RETAINED)
  const store = persistence.storeRetained.bind(persistence)
  persistence.storeRetained = async (packet) => {
    if (packet.payload.length === 0) quota.leave(packet.topic)
    else if (quota.take(packet)) return store(detached(packet))
    else tally.retainedDropped += 1
    // What the topic had is not its last message any more [MQTT-3.3.1-5].
    return store({ ...packet, payload: Buffer.alloc(0) })
  }
  return async (below) => {
    for (const topic of [...quota.topics()].filter((retained) => retained.startsWith(below))) {
      await persistence.storeRetained({ topic, payload: Buffer.alloc(0) })
    }
  }
}

function limitQueues(persistence: Persistence, tally: Tally): void {
  const queues = new Map<string, Kept>()
  const hasRoom = (kept: Kept | undefined): boolean =>
    kept === undefined || (kept.messages < MAX_PER_SESSION.messages && kept.bytes < MAX_PER_SESSION.bytes)
  const enqueue = persistence.outgoingEnqueueCombi.bind(persistence)
  persistence.outgoingEnqueueCombi = (subscriptions, packet) => {
    const open = subscriptions.filter(({ clientId }) => hasRoom(queues.get(clientId)))
    tally.sessionMessagesDropped += subscriptions.length - open.length
    for (const { clientId } of open) {
      const kept = queues.get(clientId) ?? { messages: 0, bytes: 0, released: new Map<number, number>() }
      queues.set(clientId, kept)
      kept.messages += 1
      kept.bytes += sizeOf(packet)
    }
    return enqueue(open, open.length === 0 ? packet : detached(packet))
  }
  const update = persistence.outgoingUpdate.bind(persistence)
  persistence.outgoingUpdate = async (client, packet) => {
    const { cmd, messageId, qos } = packet
    // With a name of its own: aedes takes PUBRELs without one for the same message, and gives the first the last id.
    await update(client, cmd === 'pubrel' ? { cmd, messageId, brokerId: `pubrel ${messageId}` } : packet)
    if (qos === 2 && messageId !== undefined) queues.get(client.id)?.released.set(messageId, bytesOf(packet))
  }
  const clear = persistence.outgoingClearMessageId.bind(persistence)
  persistence.outgoingClearMessageId = async (client, packet) => {
    const cleared = await clear(client, packet)
    const kept = queues.get(client.id)
    if (cleared === undefined || kept === undefined) return cleared
    const { cmd, messageId = 0 } = cleared
    kept.messages -= 1
    kept.bytes -= cmd === 'pubrel' ? (kept.released.get(messageId) ?? 0) : bytesOf(cleared)
    kept.released.delete(messageId)
    if (kept.messages === 0) queues.delete(client.id)
    return cleared
  }
}

function bytesOf({ topic = '', payload = '', properties }: Waiting): number {
  return sizeOf({ topic, payload, properties })
}

/**
 * The message in memory of its own. As it comes it is a piece of a block of 64 KiB that many messages share: a few bytes
 * that are kept for long would keep all of that.
 */
function detached<T extends WithProperties>(packet: T): T {
  const { payload, properties } = packet
  const own = typeof payload === 'string' ? payload : ownBytes(payload)
  return {
    ...packet,
    payload: own,
    ...(properties && { properties: { ...properties, bytes: ownBytes(properties.bytes) } }),
  }
}

function ownBytes(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}
