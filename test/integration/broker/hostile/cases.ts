import { frame, packet, sized, u16 } from '../../../mqtt/packets.ts'

/** Where in a conversation the bytes of a case come: as the first ones, or of a client that has logged in. */
export type Stage = 'first' | 'logged in' | 'logged in with 3.1' | 'logged in with a session'

/** What clients may not send, or what only looks so, and what the broker does. */
export interface HostileCase {
  /** Begins with the clause of MQTT 3.1.1 that decides it, in brackets: a statement, or a section where it has none. */
  readonly name: string
  readonly stage: Stage
  readonly bytes: Buffer
  /** Packets of the broker to these bytes, as `describe` of packet-client.ts says them, sorted. */
  readonly answers: readonly string[]
  /** The connection lives on: a PINGREQ is answered. Otherwise it is closed, and nothing behind the bytes is looked at. */
  readonly lives: boolean
}

export type Outcome = Pick<HostileCase, 'answers' | 'lives'>

/** Closed without a word [MQTT-4.8.0-1, 3.1.4-1]. */
export const CLOSED: Outcome = { answers: [], lives: false }

/** Refused with a return code, then closed. */
export function refused(code: number): Outcome {
  return { answers: [`connack 0 ${code}`], lives: false }
}

/** Answered, and the connection lives. */
export function answered(...answers: string[]): Outcome {
  return { answers: answers.toSorted(), lives: true }
}

/** A case whose bytes are the first of a connection. */
export function first(name: string, bytes: Buffer, outcome: Outcome = CLOSED): HostileCase {
  return { name, stage: 'first', bytes, ...outcome }
}

/** A case of a client that has logged in and got an answer to a first message. */
export function loggedIn(
  name: string,
  bytes: Buffer,
  outcome: Outcome = CLOSED,
  stage: Stage = 'logged in',
): HostileCase {
  return { name, stage, bytes, ...outcome }
}

/** In every message that must not come through, and in those that may. */
export const HOSTILE = 'hostile'
export const SOUND = 'sound'
/** Topics of the device of all cases: for the log, and for aedes. */
export const TELEMETRY = 't/a/1/telemetry'
export const STATUS = 't/a/1/status'
/** What it may subscribe to. */
export const COMMANDS = 't/a/1/cmd'
/** Of packets of the cases that have one; those before and behind them use 1 and 2. */
export const ID = 9

/** A packet without the last bytes of its body, and with a remaining length that says so. */
export function cutTo(bytes: Buffer, bodyLength: number): Buffer {
  return frame(bytes[0] ?? 0, bytes.subarray(2, 2 + bodyLength))
}

/** A packet with more body, and a remaining length that says so. */
export function longer(bytes: Buffer, ...more: number[]): Buffer {
  return frame(bytes[0] ?? 0, Buffer.concat([bytes.subarray(2), Buffer.from(more)]))
}

export interface ConnectFields {
  readonly header?: number
  readonly name?: Buffer | string
  readonly level?: number
  readonly flags?: number
  readonly clientId?: Buffer | string
  /** Topic and message. */
  readonly will?: readonly [Buffer | string, Buffer | string]
  readonly username?: Buffer | string
  readonly password?: Buffer | string
}

/** A CONNECT of exactly these fields, whatever the flags say; by default 3.1.1, a clean session, and the good login. */
export function connect(fields: ConnectFields): Buffer {
  const { header = 0x10, name = 'MQTT', level = 4, flags = 0xc2, clientId = HOSTILE, will = [] } = fields
  const login = [fields.username, fields.password].filter((field) => field !== undefined)
  return frame(header, sized(name), level, flags, u16(60), sized(clientId), ...will.map(sized), ...login.map(sized))
}

export const LOGIN = { username: 'a/1', password: 's' } as const

/** One sound packet of each type that a client sends, with an id where the type has one. */
export const SOUND_PACKETS = {
  CONNECT: connect(LOGIN),
  PUBLISH: packet.publish(TELEMETRY, HOSTILE, { qos: 1, id: ID }),
  PUBACK: packet.puback(ID),
  PUBREC: packet.pubrec(ID),
  PUBREL: packet.pubrel(ID),
  PUBCOMP: packet.pubcomp(ID),
  SUBSCRIBE: packet.subscribe(ID, [`${COMMANDS}/#`, 1]),
  UNSUBSCRIBE: packet.unsubscribe(ID, `${COMMANDS}/#`),
  PINGREQ: packet.pingreq,
  DISCONNECT: packet.disconnect(),
} as const

/** What only a server sends, sound. */
export const SERVER_PACKETS = {
  CONNACK: frame(0x20, 0, 0),
  SUBACK: frame(0x90, u16(ID), 0),
  UNSUBACK: frame(0xb0, u16(ID)),
  PINGRESP: frame(0xd0),
} as const

export function bits(value: number, count: number): string {
  return value.toString(2).padStart(count, '0')
}
