import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { Aedes, type AedesOptions, type AedesPublishPacket, type Client, type PublishPacket } from 'aedes'
import type { Logger } from '../../shared/logger.ts'
import type { Principal } from '../../shared/registry/port.ts'
import { isReserved } from '../../shared/topic-filter.ts'
import { parseTelemetryTopic } from '../../shared/topics.ts'
import { AedesEnd } from './aedes-end.ts'
import type { Authorizer } from './authorize.ts'
import type { Tally } from './counters.ts'
import { limitPersistence, type Persistence } from './session-limits.ts'
import { isExpired, PropertiesByPayload, withProperties } from './message-properties.ts'
import { completePackets, noteExisting, replayRetained } from './passage.ts'
import type { ForwardWill } from './wills.ts'

/**
 * aedes: sessions, subscriptions, retained messages and wills. It never sees a client that is not logged in, and no
 * telemetry but wills.
 */
export interface Sessions {
  /** A connection that has logged in; the CONNECT follows as its first packet. */
  open(end: AedesEnd): AedesClient
  /** What messages of MQTT 5 bring besides topic and payload. */
  readonly properties: PropertiesByPayload
  /** Forgets all of a session that has no connection. */
  discard(clientId: string): Promise<void>
  /** Hands telemetry that is in the log on to its subscribers, at QoS 0. */
  copy(topic: string, payload: Uint8Array): void
  close(): Promise<void>
}

/** aedes' client; the callback of `close` comes when it has run its last steps, or had done so before. */
export type AedesClient = Pick<Client, 'close'>

export interface SessionOptions {
  readonly authorizer: Pick<Authorizer, 'canPublish' | 'canSubscribe' | 'canReceive'>
  readonly forwardWill: ForwardWill
  readonly tally: Tally
  readonly logger: Logger
  /** In place of ours. */
  readonly hooks: AedesOptions
}

/** A client that takes nothing for so long is disconnected; until then it delays what is published to it at QoS 2. */
const DRAIN_TIMEOUT_MS = 5_000
/** Bytes that a subscriber may lag behind before it gets no more telemetry. */
const SLOW_SUBSCRIBER_BYTES = 128 * 1024
/** Copies on their way through aedes at once, and their payload: one batch of the forwarder. */
const MAX_COPIES = 4_000
const MAX_COPY_BYTES = 4 * 1024 * 1024

const AEDES_OPTIONS: AedesOptions = {
  // Unlimited: with a bound one slow subscriber stops the delivery to all others.
  concurrency: 0,
  drainTimeout: DRAIN_TIMEOUT_MS,
  // Ids are checked by the gate, and are longer here than any client sent them.
  maxClientsIdLength: Number.MAX_SAFE_INTEGER,
}

/** The client id in aedes: nobody reaches another login's session. Two slashes, because an application may be named like a tenant. */
export function scopedClientId(principal: Principal, clientId: string): string {
  const id = clientId === '' ? `auto-${randomUUID()}` : clientId
  return principal.kind === 'device' ? `${principal.name}/${id}` : `${principal.name}//${id}`
}

/** aedes registers a client at the end of its CONNECT even when it was closed meanwhile, and never forgets it then. */
class LiveAedes extends Aedes {
  registerClient(client: Client): void {
    if (!client.closed) registerClient.call(this, client)
  }
}

const { registerClient } = Aedes.prototype as Aedes & { registerClient(client: Client): void }

export async function openSessions(options: SessionOptions): Promise<Sessions> {
  const properties = new PropertiesByPayload()
  const aedes = new LiveAedes({ ...AEDES_OPTIONS, ...ownHooks(options, properties), ...options.hooks })
  await aedes.listen()
  guard(aedes, options)
  const { persistence } = aedes as Aedes as Aedes & { persistence: Persistence }
  replayRetained(aedes, persistence, properties)
  let copies = 0
  let bytes = 0
  const { tally } = options
  return {
    properties,
    open(end) {
      const client = aedes.handle(end)
      completePackets(client)
      return client
    },
    discard: (clientId) => discardSession(persistence, clientId),
    copy(topic, payload) {
      if (copies >= MAX_COPIES || bytes >= MAX_COPY_BYTES) {
        tally.copiesNodeFull += 1
        return
      }
      copies += 1
      bytes += payload.byteLength
      tally.copies += 1
      const buffer = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
      aedes.publish({ cmd: 'publish', topic, payload: buffer, qos: 0, retain: false, dup: false }, () => {
        copies -= 1
        bytes -= payload.byteLength
      })
    },
    close: () => new Promise((resolve) => aedes.close(resolve)),
  }
}

function ownHooks({ authorizer, forwardWill, tally }: SessionOptions, properties: PropertiesByPayload): AedesOptions {
  return {
    authorizePublish(client, packet, done) {
      // What a live client publishes has passed the gate. A will comes here when it fires, that of an orphan without
      // a client; whether its topic is still allowed is asked again.
      if (client !== null && !isWillOf(client, packet)) return done(null)
      const principal = client === null ? undefined : ownerOf(client)?.principal
      const allowed = principal === undefined ? client === null : authorizer.canPublish(principal, packet.topic)
      if (!allowed || isReserved(packet.topic)) return done(new Error('the will is not allowed any more'))
      if (parseTelemetryTopic(packet.topic) === undefined) return done(null)
      // It is in the log then, and that is all that happens to telemetry: it is not retained and not delivered here.
      void forwardWill(packet.topic, bytesOf(packet.payload)).then(() => done(new Error('the will went to the log')))
    },
    authorizeSubscribe(client, subscription, done) {
      const owner = ownerOf(client)
      const allowed = owner !== undefined && authorizer.canSubscribe(owner.principal, subscription.topic)
      noteExisting(client, subscription)
      if (allowed) owner.subscribed(subscription.topic)
      done(null, allowed ? subscription : null)
    },
    authorizeForward(client, packet) {
      const owner = ownerOf(client)
      if (owner === undefined || !authorizer.canReceive(owner.principal, packet.topic)) return null
      const brought = properties.note(withProperties(packet))
      if (brought !== undefined && isExpired(brought, Date.now())) {
        tally.messagesExpired += 1
        return null
      }
      if (owner.unsentBytes > SLOW_SUBSCRIBER_BYTES && isTelemetryCopy(packet)) {
        tally.copiesSubscriberSlow += 1
        return null
      }
      return packet
    },
  }
}

/** Its subscriptions, the messages that wait for it, and what it has open of QoS 2. */
async function discardSession(persistence: Persistence, clientId: string): Promise<void> {
  const client = { id: clientId }
  await persistence.cleanSubscriptions(client)
  let unnamed = 0
  for await (const waiting of persistence.outgoingStream(client)) {
    // A message that was never sent has no id by which it could be cleared.
    const packet = waiting as { messageId?: number }
    if (packet.messageId === undefined) {
      packet.messageId = unnamed += 1
      await persistence.outgoingUpdate(client, packet)
    }
    await persistence.outgoingClearMessageId(client, packet)
  }
  await persistence.cleanIncoming(client)
}

/** Closes the gaps of aedes that its options do not reach. */
function guard(aedes: Aedes, { authorizer, logger, tally }: SessionOptions): void {
  aedes.on('error' as 'closed', ((error: unknown) => logger.error({ err: error }, 'broker error')) as () => void)
  aedes.on('clientError', (client, error) => {
    logger.debug({ client: client.id, reason: error.message }, 'client error')
  })
  aedes.on('connectionError', (_client, error) => logger.debug({ reason: error.message }, 'connection error'))
  aedes.on('clientReady', (client) => ownerOf(client)?.ready())
  const { persistence } = aedes as Aedes & { persistence: Persistence }
  limitPersistence(persistence, tally)
  // aedes stores all filters of a SUBSCRIBE as soon as one is granted.
  const addSubscriptions = persistence.addSubscriptions.bind(persistence)
  persistence.addSubscriptions = (client, subscriptions) => {
    const principal = ownerOf(client)?.principal
    const granted = subscriptions.filter(
      ({ topic }) => principal !== undefined && authorizer.canSubscribe(principal, topic),
    )
    return addSubscriptions(client, granted)
  }
  // Wills in memory belong to connections of this process: there are no orphans, and after the machine was suspended
  // the sweep would take all of them for such.
  persistence.streamWill = () => Readable.from([])
}

function ownerOf(client: Client): AedesEnd['owner'] | undefined {
  return client.conn instanceof AedesEnd ? client.conn.owner : undefined
}

function isWillOf(client: Client, packet: PublishPacket): boolean {
  return (client as Client & { will: unknown }).will === packet
}

function isTelemetryCopy(packet: AedesPublishPacket): boolean {
  return packet.qos === 0 && parseTelemetryTopic(packet.topic) !== undefined
}

function bytesOf(payload: string | Buffer): Buffer {
  return typeof payload === 'string' ? Buffer.from(payload) : payload
}
