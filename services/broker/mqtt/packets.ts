import { isUtf8 } from 'node:buffer'
import type { ErrorCode } from '../../../shared/errors.ts'
import type { FrameReader } from './frame-reader.ts'

/** Control packet types: the high half of a packet's first byte [MQTT 3.1.1, table 2.1]. */
export const Type = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const

/** First bytes of packets whose flags are fixed [MQTT-2.2.2-1]. */
export const Header = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 } as const

/** CONNACK return codes [MQTT 3.1.1, table 3.1]. */
export type ConnackCode = 0 | 1 | 2 | 3 | 4 | 5

export function connack(code: ConnackCode): Buffer {
  return Buffer.from([0x20, 2, 0, code])
}

/** Why a connection is turned away. */
export class Refused extends Error {
  readonly code: ErrorCode
  /** What the client is told before the connection closes; nothing when the specification wants it so. */
  readonly answer: Buffer | undefined
  /** What the client called itself; empty when it is not known. */
  readonly who: string

  constructor(code: ErrorCode, message: string, answer: Buffer | undefined, who: string) {
    super(message)
    this.code = code
    this.answer = answer
    this.who = who
  }
}

/** MQTT 5: a packet that cannot be read. */
const MALFORMED = 0x81
/** MQTT 5: a packet that can be read, and must not be sent. */
const PROTOCOL_ERROR = 0x82

/** What a client broke of the specification, for a person; the clause is in brackets. */
export class Violation extends Refused {
  /** Reason code of MQTT 5. */
  readonly reason: number

  constructor(message: string, reason: number = MALFORMED) {
    super('protocol_violation', message, undefined, '')
    this.reason = reason
  }
}

/** A length-prefixed string [MQTT 1.5.3] at `position`, or the reason why there is none. */
export function readText(buffer: Buffer, position: number, end: number, what: string): { text: string; next: number } {
  const { start, next } = readField(buffer, position, end, what)
  return { text: decodeText(buffer, start, next, what), next }
}

/** A length-prefixed run of bytes at `position`. Throws {@link Violation} when it is cut. */
export function readField(
  buffer: Buffer,
  position: number,
  end: number,
  what: string,
): { start: number; next: number } {
  const start = position + 2
  const next = start + (start <= end ? buffer.readUInt16BE(position) : 1)
  if (next > end) throw new Violation(`${what} is longer than the packet`)
  return { start, next }
}

/** UTF-8 without NUL [MQTT-1.5.3-1, 1.5.3-2] and, because topics and names end in logs and shells, without controls. */
export function decodeText(buffer: Buffer, start: number, end: number, what: string): string {
  const bytes = buffer.subarray(start, end)
  if (!isUtf8(bytes)) throw new Violation(`${what} is not UTF-8 [MQTT-1.5.3-1]`)
  const text = bytes.toString('utf8')
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) {
      throw new Violation(
        `${what} contains the control character U+${code.toString(16).padStart(4, '0')} [MQTT-1.5.3-2]`,
      )
    }
  }
  return text
}

/** The packet id of a PUBACK, PUBREC, PUBREL or PUBCOMP. Throws {@link Violation}. */
export function parseAcknowledgement(frame: FrameReader, header: number): number {
  if (frame.header !== header) throw new Violation('reserved flags are set [MQTT-2.2.2-2]')
  if (frame.end - frame.body !== 2) throw new Violation('an acknowledgement has two bytes')
  readPacketId(frame, 'acknowledgement')
  return frame.buffer.readUInt16BE(frame.body)
}

/** Throws {@link Violation} unless the packet is just its two header bytes. */
export function expectEmpty(frame: FrameReader, header: number): void {
  if (frame.header !== header) throw new Violation('reserved flags are set [MQTT-2.2.2-2]')
  if (frame.end !== frame.body) throw new Violation('the packet must be empty')
}

/** Where the packet id ends. Throws {@link Violation}. */
export function readPacketId({ buffer, body, end }: FrameReader, what: string): number {
  if (body + 2 > end) throw new Violation(`${what} is truncated`)
  if (buffer.readUInt16BE(body) === 0) throw new Violation(`${what} with packet id 0 [MQTT-2.3.1-1]`, PROTOCOL_ERROR)
  return body + 2
}

/** Where the variable header of a packet begins. */
export function bodyOf(packet: Buffer): number {
  let at = 1
  while ((packet[at] ?? 0) > 127) at += 1
  return at + 1
}
