import { encodeLength, encodePacket, encodeText } from '../../../../shared/mqtt/encoding.ts'
import { Type } from '../packets.ts'
import { Property } from './properties.ts'
import { Reason } from './reason.ts'

/** Longest reason string that is sent, in characters: a sentence, not a report. */
const MAX_REASON_TEXT = 200

/** A reason string as a property, or nothing. */
export function reasonString(text: string | undefined): Buffer {
  if (text === undefined || text === '') return Buffer.alloc(0)
  return Buffer.concat([Buffer.from([Property.reasonString]), encodeText(printable(text))])
}

/** A User Property, with as much of the text as a reason has. */
export function userProperty(name: string, text: string): Buffer {
  return Buffer.concat([Buffer.from([Property.user]), encodeText(name), encodeText(printable(text))])
}

/** Properties with their length in front. */
export function withLength(properties: Buffer): Buffer {
  return Buffer.concat([encodeLength(properties.length), properties])
}

export function numberProperty(id: number, bytes: 1 | 2 | 4, value: number): Buffer {
  const property = Buffer.alloc(1 + bytes)
  property[0] = id
  property.writeUIntBE(value, 1, bytes)
  return property
}

/** CONNACK that turns a client away: never a session, and the connection closes after it. */
export function connackRefused(reason: number, text?: string): Buffer {
  return encodePacket(Type.connack << 4, Buffer.from([0, reason]), withLength(reasonString(text)))
}

/** DISCONNECT from the server, which closes after it. */
export function encodeDisconnect(reason: number, text?: string): Buffer {
  const properties = reasonString(text)
  if (properties.length === 0) return encodePacket(Type.disconnect << 4, Buffer.from([reason]))
  return encodePacket(Type.disconnect << 4, Buffer.from([reason]), withLength(properties))
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP; the short form when all is well [MQTT 5.0, 3.4.2.1]. */
export function encodeAcknowledgement(header: number, id: number, reason: number, text?: string): Buffer {
  const idBytes = Buffer.from([id >> 8, id & 0xff])
  if (reason === Reason.success) return encodePacket(header, idBytes)
  const properties = reasonString(text)
  if (properties.length === 0) return encodePacket(header, idBytes, Buffer.from([reason]))
  return encodePacket(header, idBytes, Buffer.from([reason]), withLength(properties))
}

/** SUBACK or UNSUBACK with one code per filter. */
export function encodeAnswers(type: number, id: number, codes: readonly number[], text?: string): Buffer {
  const head = Buffer.from([id >> 8, id & 0xff])
  return encodePacket(type << 4, head, withLength(reasonString(text)), Buffer.from(codes))
}

/** As MQTT allows it in a string. */
function printable(text: string): string {
  return text
    .slice(0, MAX_REASON_TEXT)
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')
    .toWellFormed()
}
