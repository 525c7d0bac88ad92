import { randomUUID } from 'node:crypto'
import type { AedesOptions, AedesPublishPacket, Client } from 'aedes'
import { SluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { canPublish } from '../../../shared/acl.ts'
import type { Principal, Registry } from '../../../shared/registry/port.ts'
import { filterBehind } from '../../../shared/shared-subscription.ts'
import { parseTelemetryTopic } from '../../../shared/topics.ts'
import { prefixOf } from '../../../shared/sessions/client-id.ts'
import { internalsOf, LiveAedes, type AedesHooks, type AedesInternals } from './aedes-internals.ts'
import { AedesStream } from './aedes-stream.ts'
import { raiseQos } from './granted-qos.ts'
import { createHooks, ownerOf, type HookOptions } from './aedes-hooks.ts'
import { Sharing, type DeliverTo } from './sharing.ts'
import type { SharedGroups } from '../telemetry/shared-groups.ts'
import { SessionEmitter } from './session-emitter.ts'
import { toMessage } from '../../../shared/sessions/message.ts'
import { ClusterRelay } from './cluster-relay.ts'
import { Relay } from './relay.ts'
import { StoredPersistence } from './stored-persistence.ts'
import { createCommands, type SendCommand } from './device-commands.ts'
import type { Tally } from '../metrics.ts'
import { PropertiesByPayload } from './payload-properties.ts'
import { completePackets, replayRetained } from './aedes-properties.ts'
import type { LocalSessionStore, PublishWill, SessionStore } from '../../../shared/sessions/port.ts'
import { tellUnknownReleases } from './unknown-releases.ts'

/**
 * aedes: sessions, subscriptions, retained messages and wills. It never sees a client that is not logged in, and no
 * telemetry but wills.
 */
export interface Sessions {
  /** A connection that has logged in; the CONNECT follows as its first packet. */
  open(stream: AedesStream): AedesClient
  /** What messages of MQTT 5 bring besides topic and payload. */
  readonly properties: PropertiesByPayload
  /** Who has which session. */
  readonly claims: Pick<SessionStore, 'claim' | 'release' | 'leaseOf' | 'isUp' | 'writeUnreleased'>
  /** DISCONNECT says how many seconds the session outlives the connection; undefined: it does not end. */
  endAfter(clientId: string, seconds: number | undefined): void
  /** Hands telemetry that is in the log on to its subscribers, at QoS 0. */
  copy(topic: string, payload: Uint8Array): void
  /** To one member of each group, at QoS 0, wherever it is. */
  readonly sharing: Pick<Sharing, 'copy'>
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
  /** Sessions of the only node. */
  readonly local: LocalSessionStore | undefined
  readonly groups: SharedGroups
  /** In place of ours. */
  readonly hooks: (ours: AedesHooks) => AedesHooks
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
  return prefixOf(principal.name) + id
}

/** A packet of aedes as its emitter gets it. */
function asPublish(packet: { topic: string; [key: string]: unknown }): AedesPublishPacket {
  return packet as unknown as AedesPublishPacket
}

export async function openSessions(options: SessionOptions): Promise<Sessions> {
  const properties = new PropertiesByPayload()
  const { cluster, local, logger, tally, groups } = options
  const store = cluster?.store ?? local
  if (store === undefined) throw new SluiceError('internal', 'a broker needs a store of sessions, or a cluster')
  const emitter = new SessionEmitter((packet) => {
    if (cluster === undefined && groups.size === 0) return
    const message = toMessage(asPublish(packet))
    cluster?.sendQos0(message)
    sharing.send(message)
  })
  const relay = new Relay(store, emitter, tally, (message) => sharing.send(message))
  const hooks = createHooks(options, properties, emitter, relay)
  const persistence = new StoredPersistence(store, logger, tally)
  const id = cluster === undefined ? {} : { id: cluster.id }
  const aedes = new LiveAedes({ ...AEDES_OPTIONS, ...id, persistence, mq: emitter, ...hooks, ...options.hooks(hooks) })
  await aedes.listen()
  guard(aedes, options)
  replayRetained(aedes, aedes.persistence, properties)
  const copy = createCopy(aedes, tally)
  const clientOf: DeliverTo = (clientId) => aedes.clients[clientId]
  const sharing = new Sharing({ groups, store, emitter, cluster, clientOf, copyTo: copy, logger })
  aedes.on('clientReady', ({ id }) => void sharing.ready(id))
  const nodes = cluster && new ClusterRelay(cluster, sharing, relay)
  const sendCommand = createCommands(nodes ?? relay, cluster)
  const publishWill = createWillPublisher(options, relay)
  if (nodes !== undefined) await join(options, nodes, relay, aedes, copy, publishWill)
  else local?.begin(publishWill)
  return {
    properties,
    open(stream) {
      const client = internalsOf(aedes.handle(stream))
      completePackets(client, options.invariants)
      raiseQos(client)
      return client
    },
    claims: store,
    endAfter: (clientId, seconds) => store.endAfter(clientId, seconds),
    copy,
    sharing,
    tell: (topic, payload) =>
      aedes.publish({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false }, () => undefined),
    sendCommand,
    forget: (name) => store.forget(name),
    async close() {
      await new Promise<void>((resolve) => aedes.close(resolve))
      await relay.idle()
      await cluster?.close()
    },
  }
}

/** Publishes the will of a client that cannot do it itself any more. */
function createWillPublisher({ forwardWill, registry }: SessionOptions, relay: Relay): PublishWill {
  return async (will, name) => {
    // The rules may have changed since its client connected.
    const principal = await registry.principalNamed(name)
    if (principal === undefined || !canPublish(principal, will.topic)) return true
    if (parseTelemetryTopic(will.topic) !== undefined) return forwardWill(will.topic, will.payload)
    await relay.publish(will)
    return true
  }
}

async function join(
  { cluster }: SessionOptions,
  nodes: ClusterRelay,
  relay: Relay,
  aedes: LiveAedes,
  copy: Copier,
  publishWill: PublishWill,
) {
  await cluster?.open({
    clients: () => Object.keys(aedes.clients).length,
    copy,
    copyTo: copy,
    deliver: (message, number, done) => void relay.deliver(message, number, done),
    redeliver: () => nodes.redeliver(),
    publishWill,
  })
}

/** Telemetry for the subscribers of this node, or for one client. */
type Copier = (topic: string, payload: Uint8Array, clientId?: string) => void

function createCopy(aedes: LiveAedes, tally: Tally): Copier {
  let copies = 0
  let bytes = 0
  return (topic, payload, clientId) => {
    if (copies >= MAX_COPIES || bytes >= MAX_COPY_BYTES) {
      tally.copiesNodeFull += 1
      return
    }
    copies += 1
    bytes += payload.byteLength
    tally.copies += 1
    const buffer = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    const packet = { cmd: 'publish', topic, payload: buffer, qos: 0, retain: false, dup: false } as const
    const done = (): void => {
      copies -= 1
      bytes -= payload.byteLength
    }
    if (clientId === undefined) return aedes.publish(packet, done)
    const client = aedes.clients[clientId]
    if (client?.connected === true) client.deliverQoS({ ...packet, brokerId: undefined }, done)
    else done()
  }
}

/** Closes the gaps of aedes that its options do not reach. */
function guard(aedes: LiveAedes, { authorizer, logger }: SessionOptions): void {
  aedes.onError((error) => logger.error({ err: error }, 'broker error'))
  aedes.on('clientError', (client, error) => {
    logger.debug({ client: client.id, reason: error.message }, 'client error')
  })
  aedes.on('connectionError', (_client, error) => logger.debug({ reason: error.message }, 'connection error'))
  aedes.on('clientReady', ({ conn }) => {
    if (conn instanceof AedesStream) conn.connection.ready()
  })
  const { persistence } = aedes
  tellUnknownReleases(persistence)
  // aedes stores all filters of a SUBSCRIBE as soon as one is granted.
  const addSubscriptions = persistence.addSubscriptions.bind(persistence)
  persistence.addSubscriptions = (client, subscriptions) => {
    const principal = ownerOf(client)?.principal
    const granted = subscriptions.filter(
      ({ topic }) => principal !== undefined && authorizer.canSubscribe(principal, filterBehind(topic)),
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
}
