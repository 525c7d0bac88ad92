import { ERRORS, type ErrorCode } from '../../../../shared/errors.ts'
import { MAX_TOPIC_BYTES } from '../../../../shared/topic-filter.ts'
import type { Protocol, PublishRefusal } from '../protocol.ts'
import type { FrameReader } from '../frame-reader.ts'
import type { MessageProperties } from '../../../../shared/mqtt/message-properties.ts'
import { Type, Violation, type Refused } from '../packets.ts'
import { readPublish, type PublishParts } from '../publish.ts'
import {
  parseSubscribe,
  parseUnsubscribe,
  type RequestedFilter,
  type SubscribePacket,
  type UnsubscribePacket,
} from '../subscribe.ts'
import { readAcknowledgement } from './acknowledgement.ts'
import type { ConnectProperties, ServerLimits } from './connect.ts'
import { connackRefused, encodeAnswers, encodeDisconnect, userProperty } from './encode.ts'
import { checkResponseTopic, keptProperties } from './forwarded-properties.ts'
import { ALLOWED, Property, PropertyReader } from './properties.ts'
import { publishReasonOf, Reason, reasonOf } from './reason.ts'

/** A client that takes no packets of this length is not told reasons in words [MQTT-3.4.2-2]. */
const ROOM_FOR_WORDS = 512

/** A CONNACK without words: less than half of this. */
const ROOM_FOR_REST = 128

const NOTHING = Buffer.alloc(0)

/** MQTT 5 on one connection: what it keeps are the topic aliases of the client, and how long its session lasts. */
export class Mqtt5 implements Protocol {
  readonly version = 5
  readonly receiveMaximum: number
  readonly client: ConnectProperties
  /** Seconds that the session outlives the connection; DISCONNECT may change it. */
  sessionExpiry: number
  readonly #topicAliasMaximum: number
  readonly #properties = new PropertyReader()
  /** Topics by alias; made with the first. */
  #aliases: (Buffer | undefined)[] | undefined
  readonly #saysWhy: boolean

  constructor(client: ConnectProperties, limits: ServerLimits) {
    this.client = client
    this.sessionExpiry = client.sessionExpiry
    this.receiveMaximum = limits.receiveMaximum
    this.#topicAliasMaximum = limits.topicAliasMaximum
    this.#saysWhy = client.wantsReasons && client.maximumPacketSize >= ROOM_FOR_WORDS
  }

  readPublish(parts: PublishParts, header: number, buffer: Buffer, body: number, end: number): PublishParts {
    readPublish(parts, header, buffer, body, end)
    const start = parts.payload
    // The usual case first: no properties.
    if (buffer[start] === 0 && start < end) {
      parts.payload = start + 1
      parts.propertiesStart = parts.payload
      parts.propertiesEnd = parts.payload
      if (parts.topicStart === parts.topicEnd) throw new Violation('an empty topic without alias', Reason.protocolError)
      return parts
    }
    this.#readProperties(parts, buffer, start, end)
    return parts
  }

  messageProperties(parts: PublishParts, buffer: Buffer): MessageProperties | undefined {
    if (parts.propertiesStart === parts.propertiesEnd) return undefined
    this.#properties.open(buffer, parts.propertiesStart, parts.propertiesEnd, ALLOWED.publish)
    return keptProperties(this.#properties, buffer, Date.now())
  }

  readAcknowledgement(frame: FrameReader, header: number): number {
    return readAcknowledgement(frame, header, this.#properties)
  }

  readSubscribe(frame: FrameReader): SubscribePacket {
    return parseSubscribe(frame, this.#properties)
  }

  readUnsubscribe(frame: FrameReader): UnsubscribePacket {
    return parseUnsubscribe(frame, this.#properties)
  }

  readDisconnect({ header, buffer, body, end }: FrameReader): boolean {
    if (header !== 0xe0) throw new Violation('reserved flags are set [MQTT-3.14.1-1]')
    const reason = body < end ? (buffer[body] ?? 0) : Reason.success
    if (body + 1 < end) {
      const properties = this.#properties
      if (properties.open(buffer, body + 1, end, ALLOWED.disconnect) !== end)
        throw new Violation('DISCONNECT is too long')
      let { sessionExpiry } = this
      while (properties.next()) if (properties.id === Property.sessionExpiry) sessionExpiry = properties.value
      if (sessionExpiry > 0 && this.client.sessionExpiry === 0) {
        throw new Violation(
          'DISCONNECT sets a Session Expiry Interval after CONNECT set 0 [MQTT-3.14.2-2]',
          Reason.protocolError,
        )
      }
      this.sessionExpiry = sessionExpiry
    }
    return reason !== Reason.success
  }

  refusePublish(code: ErrorCode, detail: string): PublishRefusal {
    return { reason: publishReasonOf(code), text: this.#saysWhy ? detail : undefined }
  }

  refuseFilter(obstacle: RequestedFilter['obstacle']): number {
    if (obstacle === 'shared') return Reason.sharedNotSupported
    if (obstacle === 'identifier') return Reason.identifiersNotSupported
    if (obstacle === 'quota') return Reason.quotaExceeded
    return obstacle === undefined ? Reason.notAuthorised : Reason.filterInvalid
  }

  suback(id: number, codes: readonly number[]): Buffer {
    return encodeAnswers(Type.suback, id, codes)
  }

  unsuback(id: number, codes: readonly number[]): Buffer {
    return encodeAnswers(Type.unsuback, id, codes)
  }

  refuseConnect({ code, message }: Refused): Buffer | undefined {
    // What is wrong inside is not told to clients.
    const isTheirs = ERRORS[code].class === 'refused' && code !== 'login_failed'
    return connackRefused(reasonOf(code), isTheirs && this.#saysWhy ? message : undefined)
  }

  /** For CONNACK: nothing for a client that may not take as much [MQTT-3.2.2-20]. */
  userProperty(name: string, text: string): Buffer {
    const property = userProperty(name, text)
    return property.length + ROOM_FOR_REST <= this.client.maximumPacketSize ? property : NOTHING
  }

  disconnect(reason: number, text?: string): Buffer {
    return encodeDisconnect(reason, this.#saysWhy ? text : undefined)
  }

  #readProperties(parts: PublishParts, buffer: Buffer, start: number, end: number): void {
    const properties = this.#properties
    parts.payload = properties.open(buffer, start, end, ALLOWED.publish)
    parts.propertiesStart = start
    parts.propertiesEnd = parts.payload
    let alias = -1
    while (properties.next()) {
      if (properties.id === Property.topicAlias) alias = properties.value
      else if (properties.id === Property.payloadFormat) parts.isText = properties.value === 1
      else if (properties.id === Property.responseTopic) checkResponseTopic(properties.text())
    }
    if (alias >= 0) this.#resolve(parts, buffer, alias)
    else if (parts.topicStart === parts.topicEnd) {
      throw new Violation('an empty topic without alias [MQTT 5.0, 3.3.2.1]', Reason.protocolError)
    }
  }

  /** The topic of an alias, or the alias of a topic [MQTT 5.0, 3.3.2.3.4]. */
  #resolve(parts: PublishParts, buffer: Buffer, alias: number): void {
    if (alias === 0 || alias > this.#topicAliasMaximum) {
      throw new Violation(
        `topic alias ${alias} is 0 or above the maximum, ${this.#topicAliasMaximum} [MQTT-3.3.2-8, 3.3.2-9]`,
        Reason.aliasInvalid,
      )
    }
    if (parts.topicStart < parts.topicEnd) {
      // A longer one is no topic here, and sixteen of them would be a megabyte.
      if (parts.topicEnd - parts.topicStart > MAX_TOPIC_BYTES) return
      this.#aliases ??= []
      this.#aliases[alias] = Buffer.from(buffer.subarray(parts.topicStart, parts.topicEnd))
      return
    }
    const topic = this.#aliases?.[alias] ?? NOTHING
    if (topic.length === 0) throw new Violation(`topic alias ${alias} is not defined`, Reason.protocolError)
    parts.topic = topic
    parts.topicStart = 0
    parts.topicEnd = topic.length
  }
}
