import type { FrameReader } from '../frame-reader.ts'
import { readPacketId, Type, Violation } from '../packets.ts'
import { ALLOWED, type PropertyReader } from './properties.ts'
import { PUBLISH_REASONS, Reason, RELEASE_REASONS } from './reason.ts'

/**
 * A PUBACK, PUBREC, PUBREL or PUBCOMP of MQTT 5: its packet id in the low 16 bits, its reason code above. Throws
 * {@link Violation}.
 */
export function readAcknowledgement(frame: FrameReader, header: number, properties: PropertyReader): number {
  if (frame.header !== header) throw new Violation('reserved flags are set [MQTT-2.1.3-1]')
  const { buffer, body, end } = frame
  let next = readPacketId(frame, 'acknowledgement')
  const id = buffer.readUInt16BE(body)
  if (next === end) return id
  const reason = buffer[next] ?? 0
  const type = header >> 4
  const allowed = type === Type.puback || type === Type.pubrec ? PUBLISH_REASONS : RELEASE_REASONS
  if (!allowed.has(reason)) {
    throw new Violation(`reason code ${reason} in an acknowledgement [MQTT-3.4.2-1]`, Reason.protocolError)
  }
  next += 1
  if (next < end) {
    next = properties.open(buffer, next, end, ALLOWED.acknowledgement)
    while (properties.next());
  }
  if (next !== end) throw new Violation('an acknowledgement has trailing bytes')
  return (reason << 16) | id
}
