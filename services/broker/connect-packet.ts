import type { FrameReader } from './frames.ts'
import { connack, readField, readText, Refused, Violation } from './packets.ts'

export interface Will {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: number
  readonly retain: boolean
}

/** A CONNECT of MQTT 3.1 or 3.1.1 that keeps to the specification. */
export interface ConnectPacket {
  readonly clean: boolean
  /** Seconds; 0 = off. */
  readonly keepalive: number
  /** 1 to 256 bytes, or empty with `clean`. */
  readonly clientId: string
  readonly will: Will | undefined
  readonly username: string | undefined
  readonly password: Buffer | undefined
}

const MAX_CLIENT_ID_BYTES = 256

/** CONNACK of MQTT 5: no session, reason 0x84 "unsupported protocol version", no properties [MQTT 5.0, 3.2.2.2]. */
const MQTT5_UNSUPPORTED = Buffer.from([0x20, 3, 0, 0x84, 0])

/** The longest CONNECT header before the client id: protocol name, level, flags, keepalive. */
const NAME_MQTT = 'MQTT'
const NAME_MQISDP = 'MQIsdp'

/** Reads a CONNECT. Throws {@link Refused}. */
export function parseConnect(frame: FrameReader): ConnectPacket {
  if (frame.header !== 0x10) throw new Violation('CONNECT needs the flags 0000 [MQTT-2.2.2-2]')
  const { buffer, end } = frame
  const name = readText(buffer, frame.body, end, 'protocol name')
  const level = buffer[name.next]
  const flags = buffer[name.next + 1]
  if (name.next + 4 > end || level === undefined || flags === undefined) throw new Violation('CONNECT is cut')
  if (name.text !== NAME_MQTT && name.text !== NAME_MQISDP) throw new Violation('unknown protocol name [MQTT-3.1.2-1]')
  checkLevel(name.text, level, frame, name.next)
  checkFlags(flags)
  const keepalive = buffer.readUInt16BE(name.next + 2)
  const id = readText(buffer, name.next + 4, end, 'client id')
  const will = readWill(frame, id.next, flags)
  const login = readLogin(frame, will.next, flags)
  if (login.next !== end) throw new Violation('CONNECT has bytes behind its end')
  const clean = (flags & 0x02) !== 0
  checkClientId(id.text, id.next - (name.next + 6), clean, level, login.username)
  const { username, password } = login
  return { clean, keepalive, clientId: id.text, will: will.will, username, password }
}

function checkLevel(name: string, level: number, frame: FrameReader, position: number): void {
  if (level === (name === NAME_MQTT ? 4 : 3)) return
  const version5 = name === NAME_MQTT && level === 5
  const message = version5 ? 'the client speaks MQTT 5' : `protocol ${name} level ${level} is not known`
  const answer = version5 ? MQTT5_UNSUPPORTED : connack(1)
  throw new Refused('protocol_version', message, answer, version5 ? clientIdOfVersion5(frame, position) : '')
}

/** What an MQTT 5 client calls itself, to tell its owner whom we turned away; empty when it is cut. */
function clientIdOfVersion5({ buffer, end }: FrameReader, position: number): string {
  const properties = buffer[position + 4]
  if (properties === undefined || properties > 127) return ''
  try {
    return readText(buffer, position + 5 + properties, end, 'client id').text
  } catch (error) {
    if (error instanceof Violation || error instanceof RangeError) return ''
    throw error
  }
}

function checkFlags(flags: number): void {
  if ((flags & 0x01) !== 0) throw new Violation('the reserved CONNECT flag is set [MQTT-3.1.2-3]')
  const will = (flags & 0x04) !== 0
  const willQos = (flags >> 3) & 3
  if (willQos === 3) throw new Violation('will QoS 3 [MQTT-3.1.2-14]')
  if (!will && (flags & 0x38) !== 0) throw new Violation('will flags without a will [MQTT-3.1.2-11]')
  if ((flags & 0xc0) === 0x40) throw new Violation('a password without a username [MQTT-3.1.2-22]')
}

function readWill(
  { buffer, end }: FrameReader,
  position: number,
  flags: number,
): { will: Will | undefined; next: number } {
  if ((flags & 0x04) === 0) return { will: undefined, next: position }
  const topic = readText(buffer, position, end, 'will topic')
  if (topic.text === '' || /[+#]/.test(topic.text)) throw new Violation('the will topic is no topic [MQTT-4.7.1-1]')
  const payload = readField(buffer, topic.next, end, 'will payload')
  const bytes = Buffer.from(buffer.subarray(payload.start, payload.next))
  const will = { topic: topic.text, payload: bytes, qos: (flags >> 3) & 3, retain: (flags & 0x20) !== 0 }
  return { will, next: payload.next }
}

function readLogin(
  { buffer, end }: FrameReader,
  position: number,
  flags: number,
): { username: string | undefined; password: Buffer | undefined; next: number } {
  let next = position
  let username: string | undefined
  let password: Buffer | undefined
  if ((flags & 0x80) !== 0) {
    const field = readText(buffer, next, end, 'username')
    username = field.text
    next = field.next
  }
  if ((flags & 0x40) !== 0) {
    const field = readField(buffer, next, end, 'password')
    password = Buffer.from(buffer.subarray(field.start, field.next))
    next = field.next
  }
  return { username, password, next }
}

function checkClientId(id: string, bytes: number, clean: boolean, level: number, username: string | undefined): void {
  const who = username ?? id.slice(0, MAX_CLIENT_ID_BYTES)
  const refuse = (message: string) => new Refused('client_id_invalid', message, connack(2), who)
  if (bytes > MAX_CLIENT_ID_BYTES) throw refuse(`a client id of ${bytes} bytes`)
  if (bytes > 0) return
  if (!clean) throw refuse('an empty client id without clean session [MQTT-3.1.3-8]')
  if (level === 3) throw refuse('an empty client id, which MQTT 3.1 does not allow')
}

/**
 * The CONNECT that aedes gets: the id scoped by login, nothing to authenticate (that is done), no keepalive (the gate
 * keeps it), and the will.
 */
export function encodeConnect(clientId: string, { clean, will }: Pick<ConnectPacket, 'clean' | 'will'>): Buffer {
  let flags = clean ? 0x02 : 0
  if (will !== undefined) flags |= 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0)
  const fields: Buffer[] = [Buffer.from(clientId)]
  if (will !== undefined) fields.push(Buffer.from(will.topic), will.payload)
  const parts: Buffer[] = [Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, flags, 0, 0])]
  for (const field of fields) parts.push(Buffer.from([field.length >> 8, field.length & 0xff]), field)
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([0x10, ...encodeLength(body.length)]), body])
}

function encodeLength(length: number): number[] {
  const bytes: number[] = []
  let rest = length
  do {
    bytes.push((rest & 0x7f) | (rest > 127 ? 0x80 : 0))
    rest >>= 7
  } while (rest > 0)
  return bytes
}
