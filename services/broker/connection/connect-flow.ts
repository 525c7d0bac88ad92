import { randomUUID } from 'node:crypto'
import type { Mqtt5Extras } from '../sessions/aedes-stream.ts'
import { encodeConnect, type ConnectPacket } from '../mqtt/connect.ts'
import { MQTT31, MQTT311, type Protocol } from '../mqtt/protocol.ts'
import type { BrokerContext } from './broker-context.ts'
import { maxPacketBytes } from '../access/packet-size.ts'
import type { Allowance } from '../../../shared/rates.ts'
import { admit, connectLetter, willLetter, type Admitted } from './admit.ts'
import type { Replaceable } from '../sessions/takeovers.ts'
import { NEVER, serverProperties, type ServerLimits } from '../mqtt/v5/connect.ts'
import { Mqtt5 } from '../mqtt/v5/protocol.ts'
import { numberProperty, withLength } from '../mqtt/v5/encode.ts'
import { Property } from '../mqtt/v5/properties.ts'
import type { Origin } from '../listeners/origin.ts'
import { encodePacket, encodeText } from '../../../shared/mqtt/encoding.ts'
import type { Refused } from '../mqtt/packets.ts'
import { Type, Violation } from '../mqtt/packets.ts'
import type { SessionChange } from './presence.ts'
import type { Principal } from '../../../shared/registry/port.ts'
import type { Lease, SessionWish } from '../../../shared/sessions/port.ts'
import type { RefusedRoute } from '../../../shared/topic-routes.ts'

/** A client that was let in. */
export interface Welcome {
  readonly admitted: Omit<Admitted, 'refusedWill'> & { readonly allowance: Allowance | undefined }
  /** Undefined for a session that ends with the connection. */
  readonly lease: Lease | undefined
  readonly session: Pick<SessionChange, 'clientId' | 'epoch' | 'address'>
  /** Seconds; 0 = off. */
  readonly keepalive: number
  /** Longest packet that is taken. */
  readonly packetBytes: number
  /** How many seconds the session outlives its connection; undefined when aedes ends it, or it does not end. */
  readonly rest: () => number | undefined
  /** The CONNECT for aedes, and what belongs to it. */
  readonly connect: Buffer
  readonly extras: Mqtt5Extras | undefined
  /** The CONNACK: aedes says of a session without subscriptions that there is none. */
  readonly connack: () => Buffer
}

/** Topics of one client that may have an alias: those of one device. */
const TOPIC_ALIASES = 16

/** What the client of a CONNECT speaks. */
export function protocolOf({ version, properties }: ConnectPacket, context: Pick<BrokerContext, 'settings'>): Protocol {
  if (properties !== undefined) return new Mqtt5(properties, serverLimits(context))
  return version === 3 ? MQTT31 : MQTT311
}

/**
 * Lets a client in and prepares its session. Undefined when the connection closed meanwhile; it may have closed since,
 * too: then the result is for {@link giveBack}. Throws {@link Refused}.
 */
export async function welcome(
  context: BrokerContext,
  connection: Replaceable,
  packet: ConnectPacket,
  protocol: Protocol,
  origin: Origin,
): Promise<Welcome | undefined> {
  const isAssigned = packet.clientId === '' && protocol.version === 5
  const clientId = isAssigned ? `auto-${randomUUID()}` : packet.clientId
  const wish = wishOf(packet)
  const rest = restOf(protocol, packet.clean)
  const letIn = await admit(context, connection, { ...packet, clientId }, origin, wish)
  if (letIn === undefined) return undefined
  const { refusedWill, ...own } = letIn
  const admitted = enterAtRate(context, own)
  const keepalive = keepaliveOf(context, packet, admitted)
  const packetBytes = maxPacketBytes(context.settings, admitted.principal)
  const extra: Buffer[] = []
  if (protocol.version === 5)
    extra.push(
      serverProperties({
        ...serverLimits(context),
        maximumPacketSize: packetBytes,
        sharedAvailable: context.mayShare(admitted.principal),
      }),
    )
  if (isAssigned) extra.push(Buffer.from([Property.assignedClientId]), encodeText(clientId))
  if (keepalive !== packet.keepalive) extra.push(numberProperty(Property.serverKeepAlive, 2, keepalive))
  if (refusedWill !== undefined) extra.push(tellOfWill(context, protocol, admitted.principal, refusedWill))
  const will = refusedWill === undefined ? packet.will : undefined
  return {
    admitted,
    lease: wish.clean ? undefined : context.sessions.claims.leaseOf(admitted.clientId),
    session: { clientId, epoch: context.epochOf(admitted.clientId), address: origin.remoteAddress },
    keepalive,
    packetBytes,
    rest,
    connect: encodeConnect(admitted.clientId, { clean: wish.clean, will }),
    extras: will?.properties && { properties: will.properties },
    // In MQTT 3.1 the flag is reserved.
    connack: connackOf(protocol, admitted.isPresent && packet.version > 3, extra),
  }
}

/** The connection has ended: the time of its session begins, and its client id and rate are free. */
export function giveBack(
  { sessions }: Pick<BrokerContext, 'sessions'>,
  { admitted, rest }: Pick<Welcome, 'admitted' | 'rest'>,
): void {
  sessions.endAfter(admitted.clientId, rest())
  admitted.release()
}

/** aedes knows sessions that end with the connection and sessions that do not; what is between the two is done here. */
function wishOf({ clean, properties }: ConnectPacket): SessionWish {
  const expiry = properties?.sessionExpiry
  const isClean = clean && (expiry ?? 0) === 0
  return { clean: isClean, isNew: clean && !isClean, expiry: expiry === NEVER ? undefined : expiry }
}

// What lives as long as the connection is made by the functions below, so that it holds what it needs and not the whole
// CONNECT, password included.

function enterAtRate({ rates }: BrokerContext, letIn: Omit<Admitted, 'refusedWill'>): Welcome['admitted'] {
  const rate = rates.enter(letIn.principal)
  if (rate === undefined) return { ...letIn, allowance: undefined }
  const release = (): void => {
    rate.leave()
    letIn.release()
  }
  return { ...letIn, allowance: rate.allowance, release }
}

/** Only MQTT 5 has properties. */
function connackOf({ version }: Protocol, isPresent: boolean, extra: readonly Buffer[]): Welcome['connack'] {
  if (version < 5) return isPresent ? connackPresent : connackNew
  return connackWith(isPresent, withLength(Buffer.concat(extra)))
}

function connackWith(isPresent: boolean, properties: Buffer): Welcome['connack'] {
  return () => encodePacket(Type.connack << 4, Buffer.from([isPresent ? 1 : 0, 0]), properties)
}

// The same for all connections of MQTT 3.1.1.
const connackPresent = connackWith(true, Buffer.alloc(0))
const connackNew = connackWith(false, Buffer.alloc(0))

const NO_REST = (): undefined => undefined

function restOf(protocol: Protocol, clean: boolean): Welcome['rest'] {
  return protocol instanceof Mqtt5 ? () => sessionRest(protocol, clean) : NO_REST
}

/** Counts and keeps that a client was turned away. */
export function noteRefusal(context: BrokerContext, error: Refused, packetType: number, who: string): void {
  if (error instanceof Violation) context.tally.countViolation(packetType, error.reason)
  context.refusals.record(connectLetter(context.clock, error.code, error.message, who))
}

function sessionRest(protocol: Mqtt5, clean: boolean): number | undefined {
  const isAedes = clean && protocol.client.sessionExpiry === 0
  return isAedes || protocol.sessionExpiry === NEVER ? undefined : protocol.sessionExpiry
}

function serverLimits({ settings }: Pick<BrokerContext, 'settings'>): ServerLimits {
  return {
    receiveMaximum: settings.MAX_IN_FLIGHT_PER_CLIENT,
    maximumPacketSize: settings.MAX_PACKET_BYTES,
    topicAliasMaximum: TOPIC_ALIASES,
  }
}

/** Its owner finds it in the list and at the device, and who speaks MQTT 5 in CONNACK: returns what it says there. */
function tellOfWill(
  { refusals, clock, limits, tally }: BrokerContext,
  protocol: Protocol,
  principal: Principal,
  refused: RefusedRoute,
): Buffer {
  refusals.record(willLetter(clock, refused, principal.name))
  limits.acted(principal, 'will', 0)
  tally.willsLeftOut += 1
  return protocol instanceof Mqtt5 ? protocol.userProperty('will', `left out: ${refused.detail}`) : Buffer.alloc(0)
}

/** Only who speaks MQTT 5 can be told of another keepalive; the bound of silence of the others is in connections.ts. */
function keepaliveOf(
  { settings }: BrokerContext,
  { keepalive, version }: ConnectPacket,
  { principal }: Welcome['admitted'],
): number {
  const most = settings.MAX_KEEPALIVE_SECONDS
  if (version < 5 || (keepalive === 0 ? principal.kind === 'application' : keepalive <= most)) return keepalive
  return most
}
