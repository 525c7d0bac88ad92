import type { ErrorCode } from '../../../shared/errors.ts'
import type { FrameReader } from './frame-reader.ts'
import type { MessageProperties } from '../../../shared/mqtt/message-properties.ts'
import { encodePacket } from '../../../shared/mqtt/encoding.ts'
import { expectEmpty, Header, parseAcknowledgement, Type, type Refused } from './packets.ts'
import { readPublish, type PublishParts } from './publish.ts'
import {
  parseSubscribe,
  parseUnsubscribe,
  type RequestedFilter,
  type SubscribePacket,
  type UnsubscribePacket,
} from './subscribe.ts'

/** Why a message is refused, as an acknowledgement says it; reason 0 when the version has no words for it. */
export interface PublishRefusal {
  readonly reason: number
  readonly text: string | undefined
}

/**
 * The version of MQTT that one connection speaks. Sessions are kept as in 3.1.1; what a version adds is read and written
 * here.
 * Methods that read throw {@link Violation}.
 */
export interface Protocol {
  readonly version: 4 | 5
  /** Most messages of QoS 2 that the client may have open, from PUBLISH to PUBCOMP. */
  readonly receiveMaximum: number
  readPublish(parts: PublishParts, header: number, buffer: Buffer, body: number, end: number): PublishParts
  /** Of the PUBLISH that `readPublish` read last. */
  messageProperties(parts: PublishParts, buffer: Buffer): MessageProperties | undefined
  /** Packet id in the low 16 bits, reason code above. */
  readAcknowledgement(frame: FrameReader, header: number): number
  readSubscribe(frame: FrameReader): SubscribePacket
  readUnsubscribe(frame: FrameReader): UnsubscribePacket
  /** Whether the will is to be published all the same. */
  readDisconnect(frame: FrameReader): boolean
  refusePublish(code: ErrorCode, detail: string): PublishRefusal
  /** The code in SUBACK of a filter that is refused, by what stands against it; without, the rights do. */
  refuseFilter(obstacle: RequestedFilter['obstacle']): number
  suback(id: number, codes: readonly number[]): Buffer
  unsuback(id: number, codes: readonly number[]): Buffer
  /** The last answer to a CONNECT that is refused; undefined = close without a word. */
  refuseConnect(refused: Refused): Buffer | undefined
  /** The last packet of a connection that the broker closes; undefined = close without a word. */
  disconnect(reason: number, text?: string): Buffer | undefined
}

const FAILURE = 0x80

/** MQTT 3.1.1. */
export const MQTT311: Protocol = {
  version: 4,
  receiveMaximum: Infinity,
  readPublish,
  messageProperties: () => undefined,
  readAcknowledgement: parseAcknowledgement,
  readSubscribe: (frame) => parseSubscribe(frame),
  readUnsubscribe: (frame) => parseUnsubscribe(frame),
  readDisconnect(frame) {
    expectEmpty(frame, 0xe0)
    return false
  },
  refusePublish: () => ({ reason: 0, text: undefined }),
  refuseFilter: () => FAILURE,
  suback: (id, codes) => encodePacket(Type.suback << 4, Buffer.from([id >> 8, id & 0xff, ...codes])),
  unsuback: (id) => encodePacket(Type.unsuback << 4, Buffer.from([id >> 8, id & 0xff])),
  refuseConnect: ({ answer }) => answer,
  disconnect: () => undefined,
}

/** In MQTT 3.1 a SUBSCRIBE, UNSUBSCRIBE or PUBREL that is repeated says so [MQTT 3.1, 2.1]; later that flag is reserved. */
const DUP = 0x08

function withoutDup(frame: FrameReader): FrameReader {
  frame.header &= ~DUP
  return frame
}

/** MQTT 3.1. */
export const MQTT31: Protocol = {
  ...MQTT311,
  readAcknowledgement: (frame, header) =>
    parseAcknowledgement(header === Header.pubrel ? withoutDup(frame) : frame, header),
  readSubscribe: (frame) => parseSubscribe(withoutDup(frame)),
  readUnsubscribe: (frame) => parseUnsubscribe(withoutDup(frame)),
}
