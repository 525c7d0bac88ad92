import type { AedesStream, AedesPacket, Mqtt5Extras } from './aedes-stream.ts'
import type { FrameReader } from '../mqtt/frame-reader.ts'
import type { Blocked, LaneContext, LaneOwner } from '../telemetry/lane.ts'
import { isShare } from '../../../shared/shared-subscription.ts'
import { MAX_SHARED } from '../../../shared/sessions/bounds.ts'
import { encodePacket, encodeText } from '../../../shared/mqtt/encoding.ts'
import { Header, Type } from '../mqtt/packets.ts'
import { encodeAcknowledgement } from '../mqtt/v5/encode.ts'
import { Reason } from '../mqtt/v5/reason.ts'
import type { PublishParts } from '../mqtt/publish.ts'
import type { SubscribePacket } from '../mqtt/subscribe.ts'
import { isAnswer, requestSubscribe, requestUnsubscribe, type PendingRequest } from './subscription-requests.ts'

type SubscriptionOwner = Pick<
  LaneOwner,
  'output' | 'protocol' | 'principal' | 'clientId' | 'isSubscribed' | 'subscriptionCount'
>

/** What one client exchanges with aedes, in MQTT 3.1.1 whatever the client speaks. */
export class AedesLane {
  readonly #context: LaneContext
  readonly #stream: AedesStream
  readonly #owner: SubscriptionOwner
  /** Messages without PUBACK or PUBREC. */
  #messages = 0
  /** PUBRELs without PUBCOMP. */
  #releases = 0
  /** QoS of the messages. */
  #qos = 0
  /** A SUBSCRIBE or UNSUBSCRIBE is not answered; aedes would overtake it with a later one that has less to do. */
  #request: PendingRequest | undefined
  /** Groups that aedes is about to refuse. */
  readonly #overQuota = new Set<string>()
  /** Subscriptions of an application. */
  #filters: Set<string> | undefined
  /** Ids of PUBRELs that aedes knows no message of. */
  readonly #unknown = new Set<number>()
  #isClosed = false

  constructor(context: LaneContext, stream: AedesStream, owner: SubscriptionOwner) {
    this.#context = context
    this.#stream = stream
    this.#owner = owner
  }

  /** What aedes has not answered yet. */
  get pending(): number {
    return this.#messages + this.#releases
  }

  /**
   * aedes acknowledges QoS 1 at once and QoS 2 when all is delivered, each as it is done: for acknowledgements in order
   * only messages of QoS 1 are given to it together.
   */
  publish(frame: FrameReader, parts: PublishParts): Blocked | undefined {
    const { tally, settings } = this.#context
    const { qos } = parts
    if (qos > 0 && this.#messages > 0) {
      if (qos === 2 || this.#qos === 2) return 'lane'
      if (this.#messages >= settings.MAX_IN_FLIGHT_PER_CLIENT) return 'client'
    }
    // In a cluster a message could overtake the subscription that its own client asked for just before it.
    if (this.#request !== undefined) return 'lane'
    if (!this.#stream.wantsMore) return 'aedes'
    this.#publish(frame, parts)
    if (qos === 0) {
      tally.qos0Received += 1
    } else {
      tally.received += 1
      tally.inFlight += 1
      this.#messages += 1
      this.#qos = qos
    }
    return undefined
  }

  /** A PUBREL. */
  release(id: number): Blocked | undefined {
    // One that comes before its PUBREC would leave the message open in aedes forever.
    if (this.#messages > 0 && this.#qos === 2) return 'lane'
    const blocked = this.acknowledge(Header.pubrel, id)
    if (blocked === undefined) this.#releases += 1
    return blocked
  }

  /** Any packet of an id and nothing else. */
  acknowledge(header: number, id: number): Blocked | undefined {
    return this.#deliver(Buffer.from([header, 2, id >> 8, id & 0xff]))
  }

  /** Throws {@link Violation}. */
  subscribe(frame: FrameReader): Blocked | undefined {
    return this.#ask(() => {
      const { protocol } = this.#owner
      const asked = this.#withinLimit(this.#withoutGroups(protocol.readSubscribe(frame)))
      return requestSubscribe(protocol, asked, (filter) => this.#overQuota.delete(filter))
    })
  }

  /** Throws {@link Violation}. */
  unsubscribe(frame: FrameReader): Blocked | undefined {
    return this.#ask(() => {
      const packet = this.#owner.protocol.readUnsubscribe(frame)
      for (const filter of packet.filters) {
        if (this.#filters?.delete(filter) === true) this.#note(filter, false)
      }
      return requestUnsubscribe(this.#owner.protocol, packet)
    })
  }

  /** aedes forgets what it was asked when its client leaves. */
  get isAsked(): boolean {
    return this.#request !== undefined
  }

  /** The client has left; its will is not to be published. */
  disconnect(): Blocked | undefined {
    return this.#deliver(Buffer.from([Type.disconnect << 4, 0]))
  }

  /** A subscription was granted, or restored. */
  subscribed(filter: string): void {
    // A device's own are found by its name, and match no telemetry.
    if (this.#isClosed || this.#stream.owner.principal.kind === 'device') return
    this.#filters ??= new Set()
    if (this.#filters.has(filter)) return
    this.#filters.add(filter)
    this.#note(filter, true)
  }

  /** The client may not become a member of one more group: to be called before aedes answers. */
  isOverQuota(share: string): void {
    this.#context.limits.acted(this.#owner.principal, 'subscriptions', MAX_SHARED.groupsOfLogin)
    this.#overQuota.add(share)
  }

  /** Takes note of what aedes wrote. */
  wrote(packets: readonly AedesPacket[]): void {
    let acknowledged = 0
    for (const { header } of packets) {
      const type = header >> 4
      if (type === Type.puback || type === Type.pubrec) acknowledged += 1
      else if (type === Type.pubcomp && this.#releases > 0) this.#releases -= 1
    }
    const own = Math.min(acknowledged, this.#messages)
    this.#messages -= own
    this.#context.tally.inFlight -= own
    this.#context.tally.acked += own
  }

  /** aedes knows no message of a PUBREL. */
  releasesNothing(id: number): void {
    if (this.#owner.protocol.version === 5) this.#unknown.add(id)
  }

  /** The packet as the client gets it: SUBACK and UNSUBACK are made whole, and PUBCOMP says what it answers. */
  complete({ header, bytes, body }: AedesPacket): Buffer {
    if (header === Header.pubcomp) {
      const id = bytes.readUInt16BE(body)
      return this.#unknown.delete(id) ? encodeAcknowledgement(header, id, Reason.idNotFound, undefined) : bytes
    }
    if (!isAnswer(header >> 4) || this.#request === undefined) return bytes
    const request = this.#request
    this.#request = undefined
    return request.answer(bytes)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#context.tally.inFlight -= this.#messages
    this.#context.tally.abandoned += this.#messages
    this.#messages = 0
    for (const filter of this.#filters ?? []) this.#note(filter, false)
    this.#filters = undefined
  }

  /** Other connections, and nodes, are to know what is wanted here. */
  #note(filter: string, isWanted: boolean): void {
    const { groups, interest } = this.#context
    if (isShare(filter)) groups[isWanted ? 'add' : 'remove'](filter, this.#owner.clientId)
    else interest[isWanted ? 'add' : 'remove'](filter)
  }

  /** Who may have no group is told that there are none. */
  #withoutGroups(packet: SubscribePacket): SubscribePacket {
    if (!packet.filters.some(({ filter }) => isShare(filter))) return packet
    if (this.#context.mayShare(this.#owner.principal)) return packet
    const filters = packet.filters.map((filter) =>
      isShare(filter.filter) ? { ...filter, obstacle: 'shared' as const } : filter,
    )
    return { ...packet, filters }
  }

  /** Filters beyond the number that a session may have are refused; those that it has may be asked for again. */
  #withinLimit(packet: SubscribePacket): SubscribePacket {
    const { limits, settings } = this.#context
    const { principal } = this.#owner
    let room = settings.MAX_SUBSCRIPTIONS - this.#owner.subscriptionCount()
    if (packet.filters.length <= room) return packet
    const filters = packet.filters.map((filter) => {
      if (filter.obstacle !== undefined || this.#owner.isSubscribed(filter.filter)) return filter
      room -= 1
      return room >= 0 ? filter : { ...filter, obstacle: 'quota' as const }
    })
    if (room < 0) limits.acted(principal, 'subscriptions', settings.MAX_SUBSCRIPTIONS)
    return { ...packet, filters }
  }

  /** Asks aedes, or answers at once when nothing is left to ask. */
  #ask(read: () => PendingRequest): Blocked | undefined {
    if (this.#request !== undefined) return 'lane'
    if (!this.#stream.wantsMore) return 'aedes'
    const request = read()
    if (request.packet === undefined) {
      this.#owner.output.put(request.answer(undefined))
    } else {
      this.#request = request
      this.#stream.deliver(request.packet, request.extras)
    }
    return undefined
  }

  /** As 3.1.1 has it: without properties and with its topic. */
  #publish(frame: FrameReader, parts: PublishParts): void {
    const { header, buffer, end } = frame
    if (this.#owner.protocol.version === 4) return this.#stream.deliver(copyOf(frame))
    const properties = this.#owner.protocol.messageProperties(parts, buffer)
    const extras: Mqtt5Extras | undefined = properties === undefined ? undefined : { properties }
    const topic = parts.topic.subarray(parts.topicStart, parts.topicEnd)
    const id = parts.qos === 0 ? Buffer.alloc(0) : Buffer.from([parts.id >> 8, parts.id & 0xff])
    this.#stream.deliver(encodePacket(header, encodeText(topic), id, buffer.subarray(parts.payload, end)), extras)
  }

  #deliver(packet: Buffer): Blocked | undefined {
    if (!this.#stream.wantsMore) return 'aedes'
    this.#stream.deliver(packet)
    return undefined
  }
}

/** The packet with its fixed header, as bytes of its own: aedes keeps parts of it, the chunk goes. */
function copyOf({ buffer, end, total }: FrameReader): Buffer {
  return Buffer.from(buffer.subarray(end - total, end))
}
