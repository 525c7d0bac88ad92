import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { AedesOptions, AedesPublishPacket, Client } from 'aedes'
import type { Logger } from '../../../shared/process/logger.ts'
import { canPublish } from '../../../shared/acl.ts'
import type { Principal, Registry } from '../../../shared/registry/port.ts'
import { parseTelemetryTopic } from '../../../shared/topics.ts'
import { internalsOf, LiveAedes, type AedesHooks, type AedesInternals } from './aedes-internals.ts'
import { AedesStream } from './aedes-stream.ts'
import { createHooks, ownerOf, type HookOptions } from './aedes-hooks.ts'
import { SessionEmitter } from './session-emitter.ts'
import { toMessage } from '../cluster/messages.ts'
import { ClusterPersistence } from './cluster-persistence.ts'
import { ClusterRelay } from './cluster-relay.ts'
import { createCommands, type SendCommand } from './device-commands.ts'
import type { Tally } from '../metrics.ts'
import { LocalSessions } from './local-sessions.ts'
import { limitPersistence } from './memory-bounds.ts'
import { PropertiesByPayload } from './payload-properties.ts'
import { completePackets, replayRetained } from './aedes-properties.ts'
import type { SharedLease, SharedSessions } from '../cluster/shared-sessions.ts'
import { WillDelay } from './will-delay.ts'

/**
 * aedes: sessions, subscriptions, retained messages and wills. It never sees a client that is not logged in, and no
 * telemetry but wills.
 */
export interface Sessions {
  /** A connection that has logged in; the CONNECT follows as its first packet. */
  open(stream: AedesStream): AedesClient
  /** What messages of MQTT 5 bring besides topic and payload. */
  readonly properties: PropertiesByPayload
  /** Who has which session, among the nodes that share them. */
  readonly claims: SharedSessions<SharedLease>
  /** On the only node: forgets all of a session without connection, or of one that leaves; else it begins anew. */
  discard(clientId: string, isLeaving: boolean): Promise<void>
  /** Hands telemetry that is in the log on to its subscribers, at QoS 0. */
  copy(topic: string, payload: Uint8Array): void
  /** Publishes at QoS 0 to whatever subscribers there are. */
  tell(topic: string, payload: Buffer): void
  /** Publishes a command to a device, wherever it is connected. Error: `redis_unavailable`. */
  readonly sendCommand: SendCommand
  /**
   * Removes what remains of a login that no longer exists: sessions, queued messages and, of a device, retained messages
   * below its topics. Its connections must be closed. Error: `redis_unavailable`.
   */
  forget(principal: string): Promise<void>
  close(): Promise<void>
}

/** aedes' client; the callback of `close` comes when it has run its last steps, or had done so before. */
export type AedesClient = Pick<Client, 'close'> & Pick<AedesInternals, 'subscriptions'>

export interface SessionOptions extends HookOptions {
  readonly registry: Pick<Registry, 'principalNamed'>
  readonly logger: Logger
  /** Persistent sessions of one login, on a node that is the only one. */
  readonly maxSessions: number
  /** On such a node: what is known of the telemetry of a session ends with it. */
  readonly forgetUnreleased: (clientId: string) => Promise<void>
  /** In place of ours. */
  readonly hooks: AedesHooks
}

/** A client that takes nothing for so long is disconnected; until then it delays what is published to it at QoS 2. */
const DRAIN_TIMEOUT_MS = 5_000
/** Copies on their way through aedes at once, and their payload: one batch of the forwarder. */
const MAX_COPIES = 4_000
const MAX_COPY_BYTES = 4 * 1024 * 1024

const AEDES_OPTIONS: AedesOptions = {
  // Unlimited: with a bound one slow subscriber stops the delivery to all others.
  concurrency: 0,
  drainTimeout: DRAIN_TIMEOUT_MS,
  // Ids are checked before, and are longer here than any client sent them.
  maxClientsIdLength: Number.MAX_SAFE_INTEGER,
}

/** The client id in aedes: no login reaches another's session. Two slashes, because an application may be named like a tenant. */
export function scopedClientId(principal: Principal, clientId: string): string {
  const id = clientId === '' ? `auto-${randomUUID()}` : clientId
  return principal.kind === 'device' ? `${principal.name}/${id}` : `${principal.name}//${id}`
}

/** A packet of aedes as its emitter gets it. */
function asPublish(packet: { topic: string; [key: string]: unknown }): AedesPublishPacket {
  return packet as unknown as AedesPublishPacket
}

export async function openSessions(options: SessionOptions): Promise<Sessions> {
  const properties = new PropertiesByPayload()
  const willDelay = new WillDelay()
  const { cluster } = options
  const emitter = new SessionEmitter((packet) => cluster?.sendQos0(toMessage(asPublish(packet))))
  const relay = cluster === undefined ? undefined : new ClusterRelay(cluster, emitter)
  const hooks = createHooks(options, properties, emitter, relay, willDelay)
  const shared = sharedPersistence(options)
  const aedes = new LiveAedes({ ...AEDES_OPTIONS, ...shared, mq: emitter, ...hooks, ...options.hooks })
  await aedes.listen()
  const forgetRetained = guard(aedes, options)
  const local = new LocalSessions(aedes.persistence, options.maxSessions, options.forgetUnreleased)
  replayRetained(aedes, aedes.persistence, properties)
  const copy = createCopy(aedes, options.tally)
  const sendCommand = createCommands(aedes, relay, cluster)
  if (relay !== undefined) await join(options, relay, aedes, copy)
  return {
    properties,
    open(stream) {
      const client = internalsOf(aedes.handle(stream))
      completePackets(client, options.invariants)
      return client
    },
    claims: cluster?.fence ?? local,
    discard: (clientId, isLeaving) => local.discard(clientId, isLeaving),
    copy,
    tell: (topic, payload) =>
      aedes.publish({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false }, () => undefined),
    sendCommand,
    async forget(name) {
      await (cluster ?? local).forget(name)
      if (name.includes('/')) await forgetRetained?.(`t/${name}/`)
    },
    async close() {
      willDelay.close()
      await new Promise<void>((resolve) => aedes.close(resolve))
      await relay?.idle()
      await cluster?.close()
    },
  }
}

/** Sessions of a node among others; in memory by default. */
function sharedPersistence({ cluster, logger }: SessionOptions): AedesOptions {
  if (cluster === undefined) return {}
  const { mesh, fence, retained } = cluster
  return { id: cluster.id, persistence: new ClusterPersistence(mesh.link, fence, retained, logger) }
}

async function join(
  { cluster, forwardWill, registry }: SessionOptions,
  relay: ClusterRelay,
  aedes: LiveAedes,
  copy: Sessions['copy'],
) {
  await cluster?.open({
    clients: () => Object.keys(aedes.clients).length,
    copy,
    deliver: (message, number, done) => void relay.deliver(message, number, done),
    redeliver: () => relay.redeliver((id) => aedes.clients[id]),
    async publishWill(will, name) {
      // The rules may have changed since its client connected.
      const principal = await registry.principalNamed(name)
      if (principal === undefined || !canPublish(principal, will.topic)) return true
      if (parseTelemetryTopic(will.topic) !== undefined) return forwardWill(will.topic, will.payload)
      await relay.publish(will)
      return true
    },
  })
}

function createCopy(aedes: LiveAedes, tally: Tally): Sessions['copy'] {
  let copies = 0
  let bytes = 0
  return (topic, payload) => {
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
  }
}

/** Closes the gaps of aedes that its options do not reach; returns how retained messages in memory are forgotten. */
function guard(aedes: LiveAedes, { authorizer, logger, tally, cluster }: SessionOptions) {
  aedes.onError((error) => logger.error({ err: error }, 'broker error'))
  aedes.on('clientError', (client, error) => {
    logger.debug({ client: client.id, reason: error.message }, 'client error')
  })
  aedes.on('connectionError', (_client, error) => logger.debug({ reason: error.message }, 'connection error'))
  aedes.on('clientReady', ({ conn }) => {
    if (conn instanceof AedesStream) conn.connection.ready()
  })
  const { persistence } = aedes
  const forgetRetained = cluster === undefined ? limitPersistence(persistence, tally) : undefined
  // aedes stores all filters of a SUBSCRIBE as soon as one is granted.
  const addSubscriptions = persistence.addSubscriptions.bind(persistence)
  persistence.addSubscriptions = (client, subscriptions) => {
    const principal = ownerOf(client)?.principal
    const granted = subscriptions.filter(
      ({ topic }) => principal !== undefined && authorizer.canSubscribe(principal, topic),
    )
    return addSubscriptions(client, granted)
  }
  // A PUBREC of a message that is no more, or was sent past the queue, is answered: aedes would close the connection.
  const update = persistence.outgoingUpdate.bind(persistence)
  persistence.outgoingUpdate = async (client, packet) => {
    try {
      await update(client, packet)
    } catch (error) {
      if (packet.cmd !== 'pubrel') throw error
    }
  }
  // Wills in memory belong to connections of this process: there are no orphans, and after the machine was suspended
  // the sweep would take all of them for such.
  persistence.streamWill = () => Readable.from([])
  return forgetRetained
}
