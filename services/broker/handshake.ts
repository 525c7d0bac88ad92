import { randomUUID } from 'node:crypto'
import { toSluiceError } from '../../shared/errors.ts'
import type { Beside } from './aedes-end.ts'
import { encodeConnect, type ConnectPacket } from './connect-packet.ts'
import { MQTT311, type Dialect } from './dialect.ts'
import type { GateContext } from './gate-context.ts'
import { admit, type Admitted, type Replaceable } from './login.ts'
import { NEVER, serverProperties, type ServerLimits } from './mqtt5/connect.ts'
import { Mqtt5 } from './mqtt5/dialect.ts'
import { numberProperty, withLength } from './mqtt5/encode.ts'
import { Property } from './mqtt5/properties.ts'
import type { Origin } from './origin.ts'
import { connack, encodeFrame, encodeText, Refused, Type } from './packets.ts'

/** A client that was let in. */
export interface Welcome {
  readonly admitted: Admitted
  /** Seconds; 0 = off. */
  readonly keepalive: number
  /** The CONNECT for aedes, and what belongs to it. */
  readonly connect: Buffer
  readonly beside: Beside
  /** The CONNACK for a client of MQTT 5. */
  readonly connack: (sessionPresent: boolean) => Buffer
}

/** Topics of one client that may have an alias: those of one device. */
const TOPIC_ALIASES = 16
/** A device that may be silent for longer is not missed in time. A client of MQTT 5 is told so. */
const MAX_KEEPALIVE_SECONDS = 1_200

/** What the client of a CONNECT speaks. */
export function dialectOf({ properties }: ConnectPacket, context: Pick<GateContext, 'settings'>): Dialect {
  return properties === undefined ? MQTT311 : new Mqtt5(properties, serverLimits(context))
}

/**
 * Lets a client in and prepares its session. Undefined when the connection closed meanwhile. Throws {@link Refused}.
 */
export async function welcome(
  context: GateContext,
  connection: Replaceable,
  packet: ConnectPacket,
  dialect: Dialect,
  origin: Origin,
): Promise<Welcome | undefined> {
  const isAssigned = packet.clientId === '' && dialect.version === 5
  const clientId = isAssigned ? `auto-${randomUUID()}` : packet.clientId
  // aedes knows sessions that end with the connection and sessions that do not; what lies between is done beside it.
  const clean = packet.clean && (packet.properties?.sessionExpiry ?? 0) === 0
  const admitted = await admit(context, connection, { ...packet, clientId, clean }, origin)
  if (admitted === undefined) return undefined
  try {
    await context.sessionEnds.resume(admitted.clientId, packet.clean && !clean)
  } catch (error) {
    admitted.release()
    const { code, message } = toSluiceError(error)
    throw new Refused(code, message, connack(3), admitted.principal.name)
  }
  if (connection.isClosed) {
    admitted.release()
    return undefined
  }
  const keepalive = keepaliveOf(packet, admitted)
  const extra: Buffer[] = []
  if (isAssigned) extra.push(Buffer.from([Property.assignedClientId]), encodeText(clientId))
  if (keepalive !== packet.keepalive) extra.push(numberProperty(Property.serverKeepAlive, 2, keepalive))
  const properties = withLength(Buffer.concat([serverProperties(serverLimits(context)), ...extra]))
  return {
    admitted,
    keepalive,
    connect: encodeConnect(admitted.clientId, { clean, will: packet.will }),
    beside: { properties: packet.will?.properties },
    connack: (isPresent) => encodeFrame(Type.connack << 4, Buffer.from([isPresent ? 1 : 0, 0]), properties),
  }
}

/** How many seconds the session outlives its connection; undefined when aedes or nobody ends it. */
export function sessionRest(dialect: Dialect, { clean }: ConnectPacket): number | undefined {
  if (!(dialect instanceof Mqtt5)) return undefined
  const isAedes = clean && dialect.client.sessionExpiry === 0
  return isAedes || dialect.sessionExpiry === NEVER ? undefined : dialect.sessionExpiry
}

function serverLimits({ settings }: Pick<GateContext, 'settings'>): ServerLimits {
  return {
    receiveMaximum: settings.MAX_IN_FLIGHT_PER_CLIENT,
    maximumPacketSize: settings.MAX_PACKET_BYTES,
    topicAliasMaximum: TOPIC_ALIASES,
  }
}

function keepaliveOf({ keepalive, version }: ConnectPacket, { principal }: Admitted): number {
  if (version < 5) return keepalive
  if (keepalive === 0) return principal.kind === 'device' ? MAX_KEEPALIVE_SECONDS : 0
  return Math.min(keepalive, MAX_KEEPALIVE_SECONDS)
}
