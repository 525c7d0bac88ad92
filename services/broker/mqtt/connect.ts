import { isUtf8 } from 'node:buffer'
import type { FrameReader } from './frame-reader.ts'
import type { MessageProperties } from '../../../shared/mqtt/message-properties.ts'
import { readConnectProperties, readWillProperties, type ConnectProperties } from './v5/connect.ts'
import { connackRefused } from './v5/encode.ts'
import { Reason, reasonOf } from './v5/reason.ts'
import { encodePacket, encodeText } from '../../../shared/mqtt/encoding.ts'
import { connack, readField, readText, Refused, Type, Violation } from './packets.ts'

export interface Will {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: number
  readonly retain: boolean
  /** Of MQTT 5. */
  readonly properties?: MessageProperties | undefined
}

/** A CONNECT that keeps to the specification. */
export interface ConnectPacket {
  /** 3 = MQTT 3.1, 4 = 3.1.1, 5. */
  readonly version: 3 | 4 | 5
  /** Clean session; in MQTT 5 clean start. */
  readonly clean: boolean
  /** Seconds; 0 = off. */
  readonly keepalive: number
  /** 1 to 256 bytes, or empty with `clean` or MQTT 5. */
  readonly clientId: string
  readonly will: Will | undefined
  readonly username: string | undefined
  readonly password: Buffer | undefined
  /** Of MQTT 5. */
  readonly properties: ConnectProperties | undefined
}

const MAX_CLIENT_ID_BYTES = 256

const NAMES: Readonly<Record<string, readonly number[]>> = { MQTT: [4, 5], MQIsdp: [3] }

/** Reads a CONNECT. Throws {@link Refused}, with the answer in the words of the version. */
export function parseConnect(frame: FrameReader): ConnectPacket {
  const { buffer, body, end } = frame
  const name = readText(buffer, body, end, 'protocol name')
  const level = buffer[name.next]
  if (name.next + 4 > end || level === undefined) throw new Violation('CONNECT is truncated')
  const levels = Object.hasOwn(NAMES, name.text) ? NAMES[name.text] : undefined
  if (levels === undefined) throw new Violation('unknown protocol name [MQTT-3.1.2-1]')
  if (!levels.includes(level)) {
    const message = `unknown protocol ${name.text} level ${level}`
    throw new Refused('protocol_version', message, connack(1), '')
  }
  const version = level as 3 | 4 | 5
  try {
    return parseBehindLevel(frame, name.next + 1, version)
  } catch (error) {
    if (version !== 5 || !(error instanceof Refused) || error.answer !== undefined) throw error
    const reason = error instanceof Violation ? error.reason : reasonOf(error.code)
    throw new Refused(error.code, error.message, connackRefused(reason, error.message), error.who)
  }
}

/** Reads on at the flags. */
function parseBehindLevel(frame: FrameReader, position: number, version: 3 | 4 | 5): ConnectPacket {
  const { buffer, end } = frame
  // In MQTT 3.1 these bits had no meaning.
  if (version > 3 && frame.header !== 0x10) throw new Violation('CONNECT needs the flags 0000 [MQTT-2.2.2-2]')
  const flags = (buffer[position] ?? 0) & (version === 3 ? 0xfe : 0xff)
  checkFlags(flags, version)
  const keepalive = buffer.readUInt16BE(position + 1)
  let next = position + 3
  let properties: ConnectProperties | undefined
  if (version === 5) ({ properties, next } = readConnectProperties(frame, next))
  const id = readClientId(frame, next, version)
  const will = readWill(frame, id.next, flags, properties)
  const login = readLogin(frame, will.next, flags)
  if (login.next !== end) throw new Violation('CONNECT has trailing bytes')
  const clean = (flags & 0x02) !== 0
  const { username, password } = login
  checkClientId(id.text, id.next - next - 2, clean, version, username)
  return { version, clean, keepalive, clientId: id.text, will: will.will, username, password, properties }
}

function checkFlags(flags: number, version: 3 | 4 | 5): void {
  if ((flags & 0x01) !== 0) throw new Violation('the reserved CONNECT flag is set [MQTT-3.1.2-3]')
  const will = (flags & 0x04) !== 0
  const willQos = (flags >> 3) & 3
  if (willQos === 3) throw new Violation('will QoS 3 [MQTT-3.1.2-14]')
  if (!will && (flags & 0x38) !== 0) throw new Violation('will flags without a will [MQTT-3.1.2-11]')
  // MQTT 5 allows a password alone; here no login has one without a name.
  if (version < 5 && (flags & 0xc0) === 0x40) throw new Violation('a password without a username [MQTT-3.1.2-22]')
}

/** MQTT 5 has a word of its own for an id that cannot be. */
function readClientId({ buffer, end }: FrameReader, position: number, version: 3 | 4 | 5) {
  try {
    return readText(buffer, position, end, 'client id')
  } catch (error) {
    if (version !== 5 || !(error instanceof Violation)) throw error
    const { start, next } = readField(buffer, position, end, 'client id')
    const isText = isUtf8(buffer.subarray(start, next))
    throw isText ? new Violation(error.message, Reason.clientIdInvalid) : error
  }
}

function readWill(
  frame: FrameReader,
  position: number,
  flags: number,
  connect: ConnectProperties | undefined,
): { will: Will | undefined; next: number } {
  if ((flags & 0x04) === 0) return { will: undefined, next: position }
  const { buffer, end } = frame
  const nothing = { properties: undefined, isText: false, next: position }
  const { properties, isText, next } =
    connect === undefined ? nothing : readWillProperties(frame, position, connect.sessionExpiry)
  const topic = readText(buffer, next, end, 'will topic')
  if (topic.text === '' || /[+#]/.test(topic.text))
    throw new Violation('the will topic is not a topic name [MQTT-4.7.1-1]')
  const field = readField(buffer, topic.next, end, 'will payload')
  const payload = Buffer.from(buffer.subarray(field.start, field.next))
  if (isText && !isUtf8(payload)) {
    throw new Violation(
      'the will is not UTF-8, although its Payload Format Indicator says so',
      Reason.payloadFormatInvalid,
    )
  }
  const will = { topic: topic.text, payload, qos: (flags >> 3) & 3, retain: (flags & 0x20) !== 0 }
  return { will: properties === undefined ? will : { ...will, properties }, next: field.next }
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

function checkClientId(
  id: string,
  bytes: number,
  clean: boolean,
  version: 3 | 4 | 5,
  username: string | undefined,
): void {
  const who = username ?? id.slice(0, MAX_CLIENT_ID_BYTES)
  const answer = version === 5 ? undefined : connack(2)
  const refuse = (message: string) => new Refused('client_id_invalid', message, answer, who)
  if (bytes > MAX_CLIENT_ID_BYTES) throw refuse(`a client id of ${bytes} bytes`)
  if (bytes > 0 || version === 5) return
  if (!clean) throw refuse('an empty client id without clean session [MQTT-3.1.3-8]')
  if (version === 3) throw refuse('an empty client id, which MQTT 3.1 does not allow')
}

/**
 * The CONNECT by which a session is opened, of MQTT 3.1.1: the id scoped by login, nothing to authenticate (that is done), no keepalive (the broker
 * keeps it), and the will.
 */
export function encodeConnect(clientId: string, { clean, will }: Pick<ConnectPacket, 'clean' | 'will'>): Buffer {
  let flags = clean ? 0x02 : 0
  if (will !== undefined) flags |= 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0)
  const fields: (Buffer | string)[] = will === undefined ? [clientId] : [clientId, will.topic, will.payload]
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, flags, 0, 0])
  return encodePacket(Type.connect << 4, head, ...fields.map(encodeText))
}
