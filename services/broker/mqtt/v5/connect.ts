import type { FrameReader } from '../frame-reader.ts'
import type { MessageProperties } from '../../../../shared/mqtt/message-properties.ts'
import { Refused } from '../packets.ts'
import { connackRefused, numberProperty } from './encode.ts'
import { keptProperties } from './forwarded-properties.ts'
import { ALLOWED, Property, PropertyReader } from './properties.ts'
import { Reason } from './reason.ts'

/** What a CONNECT of MQTT 5 says besides the rest [MQTT 5.0, 3.1.2.11]. */
export interface ConnectProperties {
  /** Seconds that the session outlives the connection. */
  readonly sessionExpiry: number
  /** Messages of QoS 1 and 2 that the client takes before it has acknowledged one. */
  readonly receiveMaximum: number
  /** Longest packet that the client takes. */
  readonly maximumPacketSize: number
  readonly topicAliasMaximum: number
  /** Reasons in words may be sent with any packet. */
  readonly wantsReasons: boolean
}

/** A session that never expires. */
export const NEVER = 0xffffffff

/** Reads the properties of CONNECT at `position`. Throws {@link Violation}, {@link Refused}. */
export function readConnectProperties(
  { buffer, end }: FrameReader,
  position: number,
): { properties: ConnectProperties; next: number } {
  const reader = new PropertyReader()
  const next = reader.open(buffer, position, end, ALLOWED.connect)
  const values = new Map<number, number>()
  while (reader.next()) {
    if (reader.id === Property.authenticationMethod || reader.id === Property.authenticationData) {
      const message = 'an Authentication Method is not supported; use username and secret, a token or a certificate'
      throw new Refused('protocol_version', message, connackRefused(Reason.badAuthenticationMethod, message), '')
    }
    values.set(reader.id, reader.value)
  }
  const properties = {
    sessionExpiry: values.get(Property.sessionExpiry) ?? 0,
    receiveMaximum: values.get(Property.receiveMaximum) ?? 65_535,
    maximumPacketSize: values.get(Property.maximumPacketSize) ?? Infinity,
    topicAliasMaximum: values.get(Property.topicAliasMaximum) ?? 0,
    wantsReasons: values.get(Property.requestProblemInformation) !== 0,
  }
  return { properties, next }
}

/** Reads the properties of the will at `position`. Throws {@link Violation}. */
export function readWillProperties(
  { buffer, end }: FrameReader,
  position: number,
  sessionExpiry: number,
): { properties: MessageProperties | undefined; isText: boolean; next: number } {
  const reader = new PropertyReader()
  const next = reader.open(buffer, position, end, ALLOWED.will)
  const first = reader.end
  let delay = 0
  let expiry: number | undefined
  let isText = false
  while (reader.next()) {
    if (reader.id === Property.willDelay) delay = reader.value
    else if (reader.id === Property.messageExpiry) expiry = reader.value
    else if (reader.id === Property.payloadFormat) isText = reader.value === 1
  }
  reader.open(buffer, position, end, ALLOWED.will)
  if (first === next) return { properties: undefined, isText, next }
  const bytes = keptProperties(reader, buffer, 0)?.bytes ?? Buffer.alloc(0)
  // The session may end before the delay has passed, and the will is due then.
  const will = { delay: Math.min(delay, sessionExpiry), expiry }
  return { properties: { bytes, expiresAt: undefined, will }, isText, next }
}

/** What the broker says about itself in CONNACK. */
export interface ServerLimits {
  readonly receiveMaximum: number
  readonly maximumPacketSize: number
  readonly topicAliasMaximum: number
}

/** Properties of every CONNACK that lets a client in; what is not offered stands here [MQTT 5.0, 3.2.2.3]. */
export function serverProperties(limits: ServerLimits & { readonly sharedAvailable: boolean }): Buffer {
  return Buffer.concat([
    numberProperty(Property.receiveMaximum, 2, limits.receiveMaximum),
    numberProperty(Property.maximumPacketSize, 4, limits.maximumPacketSize),
    numberProperty(Property.topicAliasMaximum, 2, limits.topicAliasMaximum),
    numberProperty(Property.subscriptionIdsAvailable, 1, 0),
    numberProperty(Property.sharedAvailable, 1, limits.sharedAvailable ? 1 : 0),
  ])
}
