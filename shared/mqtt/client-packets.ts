import { encodePacket, encodeText, encodeUint16, writeLength } from './encoding.ts'

/** The MQTT 3.1.1 packets of clients that publish and subscribe, as bytes. */

export type QoS = 0 | 1 | 2

/** First bytes of packets, flags included. */
export const PACKET = {
  connect: 0x10,
  connack: 0x20,
  publish: 0x30,
  puback: 0x40,
  pubrec: 0x50,
  pubrel: 0x62,
  pubcomp: 0x70,
  subscribe: 0x82,
  pingresp: 0xd0,
} as const

export const DUP_FLAG = 0x08

export const PINGREQ = Buffer.from([0xc0, 0])
export const DISCONNECT = Buffer.from([0xe0, 0])

const PROTOCOL_LEVEL = 4
const CONNECT_FLAGS = { username: 0x80, password: 0x40, cleanSession: 0x02 } as const

export interface Login {
  readonly clientId: string
  readonly username: string
  readonly password: string
  /** 0 = none. */
  readonly keepAliveSeconds: number
  /** A persistent session unless set, so that resending what was not acknowledged is right [MQTT-4.4.0-1]. */
  readonly cleanSession?: boolean
}

export function connectPacket({ clientId, username, password, keepAliveSeconds, cleanSession }: Login): Buffer {
  const clean = cleanSession === true ? CONNECT_FLAGS.cleanSession : 0
  const head = Buffer.from([PROTOCOL_LEVEL, CONNECT_FLAGS.username | CONNECT_FLAGS.password | clean])
  const fields = [clientId, username, password].map(encodeText)
  return encodePacket(PACKET.connect, encodeText('MQTT'), head, encodeUint16(keepAliveSeconds), ...fields)
}

/** SUBSCRIBE to one filter. */
export function subscribePacket(id: number, filter: string, qos: QoS): Buffer {
  return encodePacket(PACKET.subscribe, encodeUint16(id), encodeText(filter), Buffer.from([qos]))
}

/** One PUBLISH as a buffer of its own; {@link writePublish} is for those that send many. */
export function publishPacket(topic: string, payload: string, { qos, id }: { qos: QoS; id: number }): Buffer {
  const idBytes = qos === 0 ? [] : [encodeUint16(id)]
  return encodePacket(PACKET.publish | (qos << 1), encodeText(topic), ...idBytes, Buffer.from(payload))
}

/** A four-byte packet that names a message: PUBACK, PUBREC, PUBREL, PUBCOMP. Returns the offset after it. */
export function writeReply(target: Buffer, offset: number, type: number, id: number): number {
  target[offset] = type
  target[offset + 1] = 2
  target[offset + 2] = id >> 8
  target[offset + 3] = id & 255
  return offset + 4
}

/** The largest number of bytes that {@link writePublish} adds to topic and payload. */
export const PUBLISH_OVERHEAD = 9

/**
 * Writes one PUBLISH and returns the offset after it. `topic` is UTF-8 with its length in front; `payload` holds one
 * character per byte. `id` is left out at QoS 0.
 */
export function writePublish(
  target: Buffer,
  offset: number,
  message: { readonly flags: number; readonly topic: Buffer; readonly id: number; readonly payload: string },
): number {
  const { flags, topic, id, payload } = message
  const withId = (flags & 0x06) !== 0
  target[offset] = PACKET.publish | flags
  let at = writeLength(target, offset + 1, topic.length + payload.length + (withId ? 2 : 0))
  target.set(topic, at)
  at += topic.length
  if (withId) {
    target[at++] = id >> 8
    target[at++] = id & 255
  }
  return at + target.write(payload, at, 'latin1')
}
