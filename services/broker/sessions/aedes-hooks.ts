import type { AedesPublishPacket, Client, PublishPacket, Subscription } from 'aedes'
import { toSluiceError } from '../../../shared/errors.ts'
import { bytesOf } from '../../../shared/mqtt/encoding.ts'
import { filterBehind, isShare } from '../../../shared/shared-subscription.ts'
import { isReserved } from '../../../shared/topic-filter.ts'
import { parseTelemetryTopic } from '../../../shared/topics.ts'
import { internalsOf, type AedesHooks, type Stamped } from './aedes-internals.ts'
import { AedesStream } from './aedes-stream.ts'
import type { Authorizer } from '../access/authorize.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { EMITTED, SHARED, STORED, STORED_RETAINED, type SessionEmitter } from './session-emitter.ts'
import type { Relay } from './relay.ts'
import type { Invariants } from '../invariants.ts'
import type { Tally } from '../metrics.ts'
import { grantedQos, wantsRetain } from './granted-qos.ts'
import { fromNowOn, isExpired, willDelayOf } from '../../../shared/mqtt/message-properties.ts'
import { withProperties, type PropertiesByPayload } from './payload-properties.ts'
import { noteExisting } from './aedes-properties.ts'
import type { ForwardWill } from '../telemetry/telemetry-wills.ts'

export interface HookOptions {
  readonly authorizer: Pick<Authorizer, 'login' | 'canPublish' | 'canSubscribe' | 'canReceive'>
  readonly forwardWill: ForwardWill
  readonly tally: Tally
  readonly invariants: Pick<Invariants, 'broken'>
  /** The other nodes; undefined when this is the only one. */
  readonly cluster: Cluster | undefined
}

/** Bytes that a subscriber may lag behind before it gets no more telemetry. */
const SLOW_SUBSCRIBER_BYTES = 128 * 1024
/** What aedes asks about each message and subscription. */
export function createHooks(
  options: HookOptions,
  properties: PropertiesByPayload,
  emitter: SessionEmitter,
  relay: Relay,
): AedesHooks {
  const { authorizer, tally, cluster } = options
  const authorizeWill = willHook(options, relay)
  const join = joinHook(options, relay)
  return {
    authorizePublish(client, packet, done) {
      // What a live client publishes was checked when its packet was taken. A will comes here when it fires, that of an orphan without
      // a client; whether its topic is still allowed is asked again.
      if (client !== null && !isWillOf(client, packet)) {
        return packet.qos === 0 ? done(null) : relay.store(client, packet, done)
      }
      authorizeWill(client, packet, done)
    },
    authorizeSubscribe(client, subscription, done) {
      const owner = ownerOf(client)
      const allowed = owner !== undefined && maySubscribe(options, owner, subscription.topic)
      noteExisting(client, subscription)
      if (isShare(subscription.topic)) return void join(client, subscription, allowed, done)
      if (!allowed) return done(null, null)
      owner.subscribed(subscription.topic)
      if (cluster === undefined || owner.principal.kind === 'device') return done(null, subscription)
      // Answered when the other nodes send what it matches.
      void cluster.peers.announced().then(() => done(null, subscription))
    },
    authorizeForward(client, packet) {
      const owner = ownerOf(client)
      const { identity } = emitter
      if (identity !== undefined)
        Object.assign(packet, { brokerId: identity.brokerId, brokerCounter: identity.brokerCounter })
      else if (packet.brokerId === EMITTED) {
        // Under which number it is stored is not known any more: it stays with the session for the next connection.
        client.conn.destroy(options.invariants.broken('forward_in_turn', owner?.principal.name))
        return null
      }
      if (owner === undefined) return null
      if (!authorizer.canReceive(owner.principal, packet.topic)) {
        const { brokerId, brokerCounter = 0 }: Stamped = packet
        if (brokerId === STORED || brokerId === SHARED) relay.passOn(client.id, brokerCounter)
        return null
      }
      const brought = properties.note(withProperties(packet))
      if (brought !== undefined && isExpired(brought, Date.now())) {
        tally.messagesExpired += 1
        return null
      }
      if (owner.unsentBytes > SLOW_SUBSCRIBER_BYTES && isTelemetryCopy(packet)) {
        tally.copiesSubscriberSlow += 1
        return null
      }
      if (identity !== undefined && owner.principal.kind === 'device') identity.receivers += 1
      if (packet.qos > 0) packet.qos = grantedQos(client, packet.topic, packet.qos)
      settleRetain(client, packet, identity !== undefined)
      owner.forwards(brought !== undefined && typeof packet.payload !== 'string')
      return packet
    },
  }
}

/** A client becomes a member of a group, in the store first: what it is given from then on is kept until it has it. */
function joinHook({ cluster }: HookOptions, relay: Relay) {
  return async (
    client: Client,
    subscription: Subscription,
    allowed: boolean,
    done: (error: Error | null, subscription?: Subscription | null) => void,
  ): Promise<void> => {
    const { topic: share, qos } = subscription
    const owner = ownerOf(client)
    if (!allowed || owner === undefined) {
      // It may be a member by an earlier connection of its session.
      relay.leave(client.id, share)
      return done(null, null)
    }
    // So that aedes tells which message the client has acknowledged.
    internalsOf(client).clean = false
    try {
      await relay.join(client.id, share, qos)
    } catch (error) {
      const known = toSluiceError(error)
      if (known.code !== 'session_limit') return done(known)
      owner.isOverQuota(share)
      return done(null, null)
    }
    owner.subscribed(share)
    await cluster?.peers.announced()
    done(null, subscription)
  }
}

/**
 * The retain flag is for subscriptions that want it as published [MQTT-3.3.1-13]. aedes notes no id of a message that has it,
 * and would not know what the client acknowledges: so it does not see the flag until it has noted the id (stored-persistence.ts).
 * What it reads from a session was published with the flag, whatever the subscription wants.
 */
function settleRetain(client: Client, packet: Stamped, isLive: boolean): void {
  if (!packet.retain || packet.qos === 0 || packet.brokerId !== STORED) return
  if (!isLive) packet.retain = wantsRetain(client, packet.topic)
  else if (!internalsOf(client).clean) Object.assign(packet, { retain: false, brokerId: STORED_RETAINED })
}

/** Groups are for applications: what a device may receive is for this device alone. */
function maySubscribe({ authorizer }: HookOptions, { principal }: AedesStream['owner'], filter: string): boolean {
  if (isShare(filter) && principal.kind === 'device') return false
  return authorizer.canSubscribe(principal, filterBehind(filter))
}

/** Asks about a will, and lets aedes publish it when it is due. */
function willHook({ authorizer, forwardWill }: HookOptions, relay: Relay): NonNullable<AedesHooks['authorizePublish']> {
  return (client, packet, done) => {
    const principal = client === null ? undefined : ownerOf(client)?.principal
    const isAllowed = (): boolean =>
      principal === undefined ? client === null : authorizer.canPublish(principal, packet.topic)
    const refuse = (): void => done(new Error('the will is no longer authorised'))
    if (!isAllowed() || isReserved(packet.topic)) return refuse()
    const fire = (): void => {
      if (!isAllowed()) return refuse()
      if (parseTelemetryTopic(packet.topic) !== undefined) {
        const payload = bytesOf(packet.payload)
        if (packet.retain && payload.length === 0) return done(new Error('the will holds nothing'))
        // It is in the log then, and that is all that happens to telemetry: it is not retained and not delivered here.
        void forwardWill(packet.topic, payload).then(() => done(new Error('the will went to the log')))
      } else if (packet.qos === 0) done(null)
      else relay.store(packet, packet, done)
    }
    if (client === null) return fire()
    const waiting = withProperties(packet)
    // When the answer comes the session may long be given back.
    const lease = relay.leaseOf(client.id)
    // It waits in the store: aedes hears no more of it, and so does not remove it.
    if (lease !== undefined && willDelayOf(waiting) > 0) return relay.postpone(lease, packet)
    if (waiting.properties !== undefined) waiting.properties = fromNowOn(waiting.properties)
    // Its rules are kept current until then.
    const logout = principal === undefined ? undefined : authorizer.login(principal)
    void relay.mayFire(lease, packet).then((may) => {
      if (may) fire()
      else done(new Error('the session went on'))
      logout?.()
    })
  }
}

/** The client to which a client of aedes belongs. */
export function ownerOf(client: Client): AedesStream['owner'] | undefined {
  return client.conn instanceof AedesStream ? client.conn.owner : undefined
}

function isWillOf(client: Client, packet: PublishPacket): boolean {
  return internalsOf(client).will === packet
}

function isTelemetryCopy(packet: AedesPublishPacket): boolean {
  return packet.qos === 0 && parseTelemetryTopic(packet.topic) !== undefined
}
