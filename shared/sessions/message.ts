import { splitLine } from '../mesh/mesh.ts'
import { bytesOf } from '../mqtt/encoding.ts'
import type { MessageProperties } from '../mqtt/message-properties.ts'

/** A message as nodes store it and hand it on. */
export interface Message {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** Not to be delivered after this; epoch ms. */
  readonly expiresMs: number | undefined
  /** Of MQTT 5. */
  readonly properties?: MessageProperties | undefined
}

/** What aedes calls a message; only these parts are carried. */
export interface PublishLike {
  readonly topic: string
  readonly payload: string | Buffer
  readonly qos?: number
  readonly retain?: boolean
  /** Ours, when there are any: aedes declares others and fills none. */
  readonly properties?: unknown
}

export function toMessage(packet: PublishLike, expiresMs?: number): Message {
  const { topic, payload, retain = false } = packet
  const properties = packet.properties as MessageProperties | undefined
  const qos = packet.qos === 1 || packet.qos === 2 ? packet.qos : 0
  return { topic, payload: bytesOf(payload), qos, retain, expiresMs: expiresMs ?? properties?.expiresAt, properties }
}

/** A line of JSON, then the payload as it is. */
export function encodeMessage({ topic, payload, qos, retain, expiresMs, properties }: Message): Buffer {
  const head: Record<string, unknown> = { t: topic, q: qos }
  if (retain) head['r'] = 1
  if (expiresMs !== undefined) head['x'] = expiresMs
  if (properties !== undefined) head['p'] = properties.bytes.toString('base64')
  if (properties?.will !== undefined) head['w'] = [properties.will.delay, properties.will.expiry]
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), payload])
}

/** Throws when the bytes are no message. */
export function decodeMessage(bytes: Buffer): Message {
  const [line, payload] = splitLine(bytes)
  const head: unknown = JSON.parse(line)
  if (typeof head !== 'object' || head === null || !('t' in head) || typeof head.t !== 'string') {
    throw new Error('a stored message without a topic')
  }
  const qos = 'q' in head && (head.q === 1 || head.q === 2) ? head.q : 0
  const expiresMs = 'x' in head && typeof head.x === 'number' ? head.x : undefined
  const properties =
    'p' in head && typeof head.p === 'string'
      ? { bytes: Buffer.from(head.p, 'base64'), expiresAt: expiresMs, ...willOf(head) }
      : undefined
  return { topic: head.t, payload, qos, retain: 'r' in head, expiresMs, properties }
}

/** What only a will has. */
function willOf(head: object): Pick<MessageProperties, 'will'> {
  if (!('w' in head) || !Array.isArray(head.w)) return {}
  const [delay, expiry] = head.w as readonly unknown[]
  return { will: { delay: Number(delay), expiry: typeof expiry === 'number' ? expiry : undefined } }
}

/** For a packet of aedes: properties that there are. */
export function propertiesOf({ properties }: Message): { readonly properties?: MessageProperties } {
  return properties === undefined ? {} : { properties }
}
