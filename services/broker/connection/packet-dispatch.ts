import { isUtf8 } from 'node:buffer'
import { PacketIds } from '../mqtt/packet-ids.ts'
import type { AedesLane } from '../sessions/aedes-lane.ts'
import { WAITING } from '../access/new-devices.ts'
import { maxPacketBytes } from '../access/packet-size.ts'
import type { Delivery } from '../sessions/delivery.ts'
import type { FrameReader } from '../mqtt/frame-reader.ts'
import { Reason } from '../mqtt/v5/reason.ts'
import { decodeText, expectEmpty, Header, Type, Violation } from '../mqtt/packets.ts'
import { newPublishParts, NO_TOPIC, readPublish, type PublishParts } from '../mqtt/publish.ts'
import { MAX_TOPIC_BYTES } from '../../../shared/topic-filter.ts'
import type { Blocked, LaneContext, LaneOwner } from '../telemetry/lane.ts'
import { RouteCache } from '../telemetry/route-cache.ts'
import type { RefusedRoute, Route } from '../../../shared/topic-routes.ts'
import { TelemetryLane } from '../telemetry/telemetry-lane.ts'

/**
 * The packets of one logged-in client, in order. Telemetry goes to the log and is acknowledged when it is durable;
 * everything else goes to aedes. All acknowledgements leave in the order of the messages [MQTT-4.6.0-2]: what is answered
 * goes into the other lane only when nothing waits in this one. So do PUBCOMPs, which need not, unless they wait until an
 * id is not kept with the session any more.
 */
export class PacketDispatch {
  readonly telemetry: TelemetryLane
  readonly aedes: AedesLane
  readonly #context: LaneContext
  readonly #owner: LaneOwner
  readonly #delivery: Pick<Delivery, 'delivered'>
  readonly #routes = new RouteCache()
  readonly #again = (): void => this.#owner.connection.progress()
  readonly #publish = newPublishParts()
  /** Ids of QoS 2 that a client of MQTT 5 has open in aedes. */
  readonly #openInAedes = new PacketIds()

  constructor(context: LaneContext, owner: LaneOwner, aedes: AedesLane, delivery: Pick<Delivery, 'delivered'>) {
    this.#context = context
    this.#owner = owner
    this.telemetry = new TelemetryLane(context, owner)
    this.aedes = aedes
    this.#delivery = delivery
  }

  /** Nothing waits to be acknowledged. */
  get isIdle(): boolean {
    return this.telemetry.pending === 0 && this.aedes.pending === 0
  }

  /** Takes the packet, or says why it has to wait. Throws {@link Violation}. */
  take(frame: FrameReader): Blocked | undefined {
    switch (frame.header >> 4) {
      case Type.publish:
        return this.#takeAtRate(frame)
      case Type.pingreq:
        expectEmpty(frame, 0xc0)
        this.telemetry.heard()
        this.#owner.output.empty(0xd0)
        return undefined
      case Type.pubrel:
        return this.#takeRelease(this.#owner.protocol.readAcknowledgement(frame, Header.pubrel) & 0xffff)
      case Type.puback:
      case Type.pubrec:
      case Type.pubcomp:
        return this.#takeAcknowledgement(frame)
      case Type.subscribe:
        return this.aedes.subscribe(frame)
      case Type.unsubscribe:
        return this.aedes.unsubscribe(frame)
      case Type.disconnect:
        return this.#takeDisconnect(frame)
      case Type.connect:
        throw new Violation('a second CONNECT [MQTT-3.1.0-2]', Reason.protocolError)
      default:
        throw new Violation(
          'a packet that only a server sends, or of an undefined type [MQTT 2.2.1]',
          Reason.protocolError,
        )
    }
  }

  /** A PUBLISH longer than the limit has passed; `frame.kept` is its beginning. Throws {@link Violation}. */
  takeOversized(frame: FrameReader): Blocked | undefined {
    const { kept } = frame
    const { protocol } = this.#owner
    // Only what both versions have alike: the properties may be cut.
    const parts = readPublish(this.#publish, frame.header, kept, 0, kept.length)
    const hasAlias = protocol.version === 5 && parts.topicStart === parts.topicEnd
    const topic = hasAlias ? 'of a topic alias' : decodeTopic(kept, parts)
    const detail = `a packet of ${frame.total} bytes`
    const route: RefusedRoute = { lane: 'refused', topic, code: 'payload_too_large', detail }
    if (parts.qos > 0 && this.aedes.pending > 0) return 'lane'
    this.#noteTooLong(maxPacketBytes(this.#context.settings, this.#owner.principal))
    if (protocol.version === 4) return this.telemetry.refuse(route, kept, parts, kept.length)
    // The client knew the limit and is disconnected [MQTT-3.1.2-24], after what it sent before and with this message
    // acknowledged: it must not come back with it forever.
    if (this.telemetry.pending > 0) return 'client'
    this.telemetry.refuse(route, kept, parts, kept.length)
    this.#owner.connection.close(Reason.tooLarge, detail)
    return undefined
  }

  /** The connection is gone. */
  close(): void {
    this.telemetry.close()
    this.aedes.close()
  }

  #takeAtRate(frame: FrameReader): Blocked | undefined {
    const { allowance, principal } = this.#owner
    const { limits, settings } = this.#context
    const lacking = allowance?.lacks()
    if (lacking !== undefined) {
      limits.acted(principal, lacking.name, lacking.rate)
      return 'rate'
    }
    const blocked = this.#takePublish(frame)
    // A silent client must not hold on to the last chunk that it sent.
    this.#publish.topic = NO_TOPIC
    if (blocked === undefined) allowance?.take(frame.total)
    else if (blocked === 'client') limits.acted(principal, 'in_flight', settings.MAX_IN_FLIGHT_PER_CLIENT)
    return blocked
  }

  #takePublish(frame: FrameReader): Blocked | undefined {
    const { buffer, body, end, header } = frame
    const { protocol } = this.#owner
    const parts = protocol.readPublish(this.#publish, header, buffer, body, end)
    const { epoch } = this.#context.authorizer
    const route = this.#routes.find(parts.topic, parts.topicStart, parts.topicEnd, epoch) ?? this.#look(parts)
    if (route === undefined) return 'device'
    if (parts.qos > 0 && (route.lane === 'aedes' ? this.telemetry : this.aedes).pending > 0) return 'lane'
    if (parts.qos === 2 && this.#open >= protocol.receiveMaximum && !this.#isOpen(parts.id)) {
      const message = `more than ${protocol.receiveMaximum} messages of QoS 2 at once [MQTT-3.3.4-9]`
      throw new Violation(message, Reason.receiveMaximumExceeded)
    }
    switch (route.lane) {
      case 'telemetry':
        if (frame.total > this.#context.settings.MAX_PACKET_BYTES) return this.#refuseTooLong(frame, parts, route.topic)
        return this.telemetry.append(route, buffer, parts, end)
      case 'aedes':
        return this.#takeForAedes(frame, parts, route.topic)
      case 'refused':
        return this.telemetry.refuse(route, buffer, parts, end)
    }
  }

  /** Telemetry of an application, whose other packets may be longer. */
  #refuseTooLong({ buffer, end, total }: FrameReader, parts: PublishParts, topic: string): Blocked | undefined {
    const { MAX_PACKET_BYTES: limit } = this.#context.settings
    this.#noteTooLong(limit)
    const detail = `telemetry in a packet of ${total} bytes; ${limit} are allowed`
    return this.telemetry.refuse({ lane: 'refused', topic, code: 'payload_too_large', detail }, buffer, parts, end)
  }

  #noteTooLong(limit: number): void {
    this.#context.limits.acted(this.#owner.principal, 'packet_size', limit)
  }

  #takeForAedes(frame: FrameReader, parts: PublishParts, topic: string): Blocked | undefined {
    const { buffer, end } = frame
    if (parts.isText && !isUtf8(buffer.subarray(parts.payload, end))) {
      if (parts.qos > 0 && this.aedes.pending > 0) return 'lane'
      const detail = 'the payload is not UTF-8, although the Payload Format Indicator says so'
      return this.telemetry.refuse({ lane: 'refused', topic, code: 'payload_not_utf8', detail }, buffer, parts, end)
    }
    const blocked = this.aedes.publish(frame, parts)
    if (blocked === undefined && parts.qos > 0) this.telemetry.reuse(parts.id)
    if (blocked === undefined && parts.qos === 2 && this.#owner.protocol.version === 5) this.#openInAedes.add(parts.id)
    return blocked
  }

  /** Messages of QoS 2 of a client of MQTT 5 between PUBLISH and PUBCOMP. */
  get #open(): number {
    return this.telemetry.open + this.#openInAedes.size
  }

  #isOpen(id: number): boolean {
    return this.telemetry.expectsRelease(id) || this.#openInAedes.has(id)
  }

  #takeRelease(id: number): Blocked | undefined {
    if (!this.telemetry.expectsRelease(id)) {
      const blocked = this.aedes.release(id)
      if (blocked === undefined) this.#openInAedes.delete(id)
      return blocked
    }
    return this.aedes.pending > 0 ? 'lane' : this.telemetry.complete(id)
  }

  /** Of a message that aedes sent. */
  #takeAcknowledgement(frame: FrameReader): Blocked | undefined {
    const header = frame.header & 0xf0
    const read = this.#owner.protocol.readAcknowledgement(frame, header)
    const id = read & 0xffff
    // A PUBREC with an error ends the message without PUBREL [MQTT 5.0, 4.3.3], which aedes knows by PUBACK.
    const isError = read >> 16 >= 0x80
    const blocked = this.aedes.acknowledge(isError && header === Header.pubrec ? Header.puback : header, id)
    if (blocked === undefined && (isError || header !== Header.pubrec)) this.#delivery.delivered(id)
    return blocked
  }

  #takeDisconnect(frame: FrameReader): Blocked | undefined {
    if (this.aedes.isAsked) return 'lane'
    if (!this.#owner.protocol.readDisconnect(frame)) return this.aedes.disconnect()
    this.#owner.leaveWithWill()
    return undefined
  }

  /** Undefined while the registry is asked about its device. */
  #look(parts: PublishParts): Route | undefined {
    const { topic, topicStart, topicEnd } = parts
    const route = this.#context.router(this.#owner.principal, decodeTopic(topic, parts))
    if (route.lane === 'telemetry' && this.#owner.principal.kind === 'application') {
      const refusal = this.#context.newDevices.refusalOf(this.#owner.principal.name, route.topic, this.#again)
      if (refusal === WAITING) return undefined
      // Not kept: the device may be made before the next message.
      if (refusal !== undefined) return { lane: 'refused', topic: route.topic, code: 'device_unknown', detail: refusal }
    }
    if (route.lane === 'refused' && route.code === 'topic_invalid') {
      this.#context.limits.acted(this.#owner.principal, 'topic', MAX_TOPIC_BYTES)
    }
    this.#routes.add(Uint8Array.prototype.slice.call(topic, topicStart, topicEnd), route)
    return route
  }
}

function decodeTopic(buffer: Buffer, { topicStart, topicEnd }: PublishParts): string {
  const topic = decodeText(buffer, topicStart, topicEnd, 'topic')
  if (topic === '') throw new Violation('an empty topic [MQTT-4.7.3-1]')
  if (topic.includes('+') || topic.includes('#')) throw new Violation('a wildcard in a topic [MQTT-3.3.2-2]')
  return topic
}
