import type { Readable } from 'node:stream'
import type { Client } from 'aedes'
import type { Tally } from './counters.ts'
import type { WithProperties } from './message-properties.ts'
import { MAX_RETAINED, RetainedRoom } from './retained-room.ts'

/** How aedes stores what outlives a connection; the part that we touch. */
export interface Persistence {
  cleanSubscriptions(client: { id: string }): Promise<void>
  cleanIncoming(client: { id: string }): Promise<void>
  outgoingStream(client: { id: string }): Readable
  /** A message gets its id, or its PUBREC has come (`pubrel`). Rejects when the message is not known. */
  outgoingUpdate(client: { id: string }, packet: { readonly cmd?: string; readonly messageId?: number }): Promise<void>
  createRetainedStreamCombi(filters: readonly string[]): Readable
  subscriptionsByTopic(topic: string): Promise<readonly { clientId: string }[]>
  addSubscriptions(client: Client, subscriptions: { topic: string }[]): Promise<void>
  streamWill(brokers: unknown): Readable
  storeRetained(packet: WithProperties & { topic: string }): Promise<void>
  outgoingEnqueueCombi(subscriptions: { clientId: string }[], packet: WithProperties): Promise<void>
  /** The message that was acknowledged, or undefined. */
  outgoingClearMessageId(client: { id: string }, packet: unknown): Promise<unknown>
}

/** Messages that one session keeps for its client: about 200 KB of commands, far more than a device works off. */
const MAX_PER_SESSION = 1_000

/**
 * Bounds what aedes keeps in memory without one. A session that is full takes no newer messages (a client that is
 * connected and acknowledges nothing is disconnected by aedes then); a message beyond the bounds is not retained,
 * but delivered. Both are counted. The result forgets what a login left: sessions and messages under client ids that begin
 * with `ids`, retained messages of topics that begin with `below`.
 */
export function limitPersistence(
  persistence: Persistence,
  tally: Tally,
  discard: (clientId: string) => Promise<void>,
): (ids: string, below: string | undefined) => Promise<void> {
  const waiting = new Map<string, number>()
  const enqueue = persistence.outgoingEnqueueCombi.bind(persistence)
  persistence.outgoingEnqueueCombi = (subscriptions, packet) => {
    const open = subscriptions.filter(({ clientId }) => (waiting.get(clientId) ?? 0) < MAX_PER_SESSION)
    tally.sessionMessagesDropped += subscriptions.length - open.length
    for (const { clientId } of open) waiting.set(clientId, (waiting.get(clientId) ?? 0) + 1)
    return enqueue(open, open.length === 0 ? packet : detached(packet))
  }
  const clear = persistence.outgoingClearMessageId.bind(persistence)
  persistence.outgoingClearMessageId = async (client, packet) => {
    const cleared = await clear(client, packet)
    const count = (waiting.get(client.id) ?? 0) - (cleared === undefined ? 0 : 1)
    if (count > 0) waiting.set(client.id, count)
    else waiting.delete(client.id)
    return cleared
  }
  const sessions = new Set<string>()
  const subscribe = persistence.addSubscriptions.bind(persistence)
  persistence.addSubscriptions = (client, subscriptions) => {
    sessions.add(client.id)
    return subscribe(client, subscriptions)
  }
  const clean = persistence.cleanSubscriptions.bind(persistence)
  persistence.cleanSubscriptions = (client) => {
    sessions.delete(client.id)
    return clean(client)
  }
  const room = new RetainedRoom(MAX_RETAINED)
  const store = persistence.storeRetained.bind(persistence)
  persistence.storeRetained = async (packet) => {
    if (packet.payload.length === 0) room.leave(packet.topic)
    else if (room.take(packet)) return store(detached(packet))
    else tally.retainedDropped += 1
    // What the topic had is not its last message any more [MQTT-3.3.1-5].
    return store({ ...packet, payload: Buffer.alloc(0) })
  }
  return async (ids, below) => {
    for (const id of [...sessions].filter((session) => session.startsWith(ids))) {
      await discard(id)
    }
    if (below === undefined) return
    for (const topic of [...room.topics()].filter((retained) => retained.startsWith(below))) {
      await persistence.storeRetained({ topic, payload: Buffer.alloc(0) })
    }
  }
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
