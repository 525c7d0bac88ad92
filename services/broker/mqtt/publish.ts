import { Reason } from './v5/reason.ts'
import { Violation } from './packets.ts'

/** Where the parts of a PUBLISH stand in its buffer. */
export interface PublishParts {
  qos: number
  retain: boolean
  /** The client may have sent it before. */
  isDup: boolean
  /** What the topic stands in: the packet, or what a topic alias stands for. */
  topic: Buffer
  topicStart: number
  topicEnd: number
  /** Packet id; 0 with QoS 0. */
  id: number
  /** Where the payload begins. */
  payload: number
  /** MQTT 5: where the properties stand, without their length. */
  propertiesStart: number
  propertiesEnd: number
  /** MQTT 5: the sender says that the payload is UTF-8. */
  isText: boolean
}

/** What no message has been read into yet. */
export const NO_TOPIC = Buffer.alloc(0)

export function newPublishParts(): PublishParts {
  const nothing = { topicStart: 0, topicEnd: 0, id: 0, payload: 0, propertiesStart: 0, propertiesEnd: 0 }
  return { qos: 0, retain: false, isDup: false, topic: NO_TOPIC, isText: false, ...nothing }
}

/**
 * Reads the fixed and variable header of the PUBLISH that lies in `buffer` from `body` to `end` into `parts`, which is
 * reused because this runs once per message. Throws {@link Violation}.
 */
export function readPublish(
  parts: PublishParts,
  header: number,
  buffer: Buffer,
  body: number,
  end: number,
): PublishParts {
  const qos = (header >> 1) & 3
  if (qos === 3) throw new Violation('PUBLISH with QoS 3 [MQTT-3.3.1-4]')
  if (qos === 0 && (header & 8) !== 0) throw new Violation('PUBLISH of QoS 0 with the DUP flag [MQTT-3.3.1-2]')
  const topicStart = body + 2
  const topicEnd = topicStart + (((buffer[body] ?? 0) << 8) | (buffer[body + 1] ?? 0))
  const payload = qos === 0 ? topicEnd : topicEnd + 2
  if (topicStart > end || payload > end) throw new Violation('PUBLISH is shorter than its topic')
  const id = qos === 0 ? 0 : ((buffer[topicEnd] ?? 0) << 8) | (buffer[topicEnd + 1] ?? 0)
  if (qos > 0 && id === 0) throw new Violation('PUBLISH with packet id 0 [MQTT-2.3.1-1]', Reason.protocolError)
  parts.qos = qos
  parts.retain = (header & 1) !== 0
  parts.isDup = (header & 8) !== 0
  parts.topic = buffer
  parts.topicStart = topicStart
  parts.topicEnd = topicEnd
  parts.id = id
  parts.payload = payload
  parts.propertiesStart = payload
  parts.propertiesEnd = payload
  parts.isText = false
  return parts
}
