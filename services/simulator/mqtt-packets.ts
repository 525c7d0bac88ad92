/** The few MQTT 3.1.1 packets that a publishing device needs, as bytes. */

export type QoS = 0 | 1 | 2

/** First bytes of packets, flags included. */
export const PACKET = {
  connack: 0x20,
  publish: 0x30,
  puback: 0x40,
  pubrec: 0x50,
  pubrel: 0x62,
  pubcomp: 0x70,
  pingresp: 0xd0,
} as const

export const DUP_FLAG = 0x08

export const PINGREQ = Buffer.from([0xc0, 0])
export const DISCONNECT = Buffer.from([0xe0, 0])

export interface Login {
  readonly clientId: string
  readonly username: string
  readonly password: string
  readonly keepAliveSeconds: number
}

/** CONNECT of a persistent session, so that resending what was not acknowledged is right [MQTT-4.4.0-1]. */
export function connectPacket({ clientId, username, password, keepAliveSeconds }: Login): Buffer {
  const withUsernameAndPassword = 0xc0
  const header = Buffer.from([
    ...text('MQTT'),
    4,
    withUsernameAndPassword,
    keepAliveSeconds >> 8,
    keepAliveSeconds & 255,
  ])
  const body = Buffer.concat([header, text(clientId), text(username), text(password)])
  return Buffer.concat([Buffer.from([0x10, ...lengthBytes(body.length)]), body])
}

/** A four-byte packet that names a message: PUBACK, PUBREC, PUBREL, PUBCOMP. */
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
 * Writes one PUBLISH and returns the offset behind it. `topic` is UTF-8 with its length in front; `payload` holds one
 * character per byte. `id` is left out at QoS 0.
 */
export function writePublish(
  target: Buffer,
  offset: number,
  message: { readonly flags: number; readonly topic: Buffer; readonly id: number; readonly payload: string },
): number {
  const { flags, topic, id, payload } = message
  const withId = (flags & 0x06) !== 0
  let remaining = topic.length + payload.length + (withId ? 2 : 0)
  let at = offset
  target[at++] = PACKET.publish | flags
  while (remaining > 127) {
    target[at++] = (remaining & 127) | 128
    remaining >>= 7
  }
  target[at++] = remaining
  target.set(topic, at)
  at += topic.length
  if (withId) {
    target[at++] = id >> 8
    target[at++] = id & 255
  }
  return at + target.write(payload, at, 'latin1')
}

/** UTF-8 with its two-byte length in front, as MQTT writes strings. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8')
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
}

function lengthBytes(length: number): number[] {
  const bytes: number[] = []
  for (let rest = length; ; rest >>= 7) {
    if (rest <= 127) return [...bytes, rest]
    bytes.push((rest & 127) | 128)
  }
}
