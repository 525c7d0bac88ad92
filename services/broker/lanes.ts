import type { BrokerSettings } from '../../config/broker.ts'
import { KEPT_PAYLOAD_BYTES } from '../../shared/dead-letter.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import type { Principal } from '../../shared/registry/port.ts'
import { AckQueue, PacketIds, type SmallPackets } from './acks.ts'
import type { AedesEnd } from './aedes-end.ts'
import type { Authorizer } from './authorize.ts'
import type { Capacity } from './capacity.ts'
import type { Tally } from './counters.ts'
import type { Forwarder, Waiter } from './forward.ts'
import type { FrameReader } from './frames.ts'
import { canMatchTelemetry, isTelemetryOnly, type Interest } from './interest.ts'
import {
  decodeText,
  expectEmpty,
  Header,
  parseAcknowledgement,
  parseSubscribe,
  parseUnsubscribe,
  Type,
  Violation,
} from './packets.ts'
import { readPublish, type PublishParts } from './publish-packet.ts'
import type { ReceiveClock } from './receive-clock.ts'
import type { Refusals } from './refusals.ts'
import { RouteCache, type RefusedRoute, type Route, type Router, type TelemetryRoute } from './routes.ts'

/** Why a packet has to wait: for acks of its own client, of the other lane, for room in the node, or for aedes. */
export type Blocked = 'client' | 'lane' | 'node' | 'aedes'

/** What all connections of a broker share. */
export interface LaneContext {
  readonly settings: Pick<BrokerSettings, 'REFUSED_PUBLISH' | 'MAX_IN_FLIGHT_PER_CLIENT'>
  readonly router: Router
  readonly authorizer: Pick<Authorizer, 'epoch'>
  readonly forwarder: Forwarder
  readonly capacity: Capacity
  readonly clock: ReceiveClock
  readonly refusals: Pick<Refusals, 'record'>
  readonly interest: Interest
  readonly tally: Tally
  readonly output: SmallPackets
}

/** The gate of the connection. */
export interface LaneOwner {
  readonly principal: Principal
  /** Writes what is in `output`, and goes on reading when it had to wait. */
  progress(): void
  close(): void
}

/**
 * The packets of one logged-in client, in order. Telemetry goes to the log and is acknowledged when it is durable;
 * everything else goes to aedes. All acknowledgements leave in the order of the messages [MQTT-4.6.0-2]: a message goes
 * into the other lane only when nothing waits in this one.
 */
export class Lanes implements Waiter {
  readonly #context: LaneContext
  readonly #owner: LaneOwner
  readonly #end: AedesEnd
  readonly #acks: AckQueue
  readonly #routes = new RouteCache()
  /** QoS 2 telemetry between PUBLISH and PUBREL. */
  readonly #exactlyOnce = new PacketIds()
  /** Messages that aedes has not acknowledged, all of one QoS. */
  #inAedes = 0
  #qosInAedes = 0
  /** Subscriptions that can match telemetry. */
  #filters: Set<string> | undefined
  #publish: PublishParts = { qos: 0, retain: false, topicStart: 0, topicEnd: 0, id: 0, payload: 0 }
  #isSettling = false
  #isClosed = false

  constructor(context: LaneContext, owner: LaneOwner, end: AedesEnd) {
    this.#context = context
    this.#owner = owner
    this.#end = end
    this.#acks = new AckQueue(context.settings.MAX_IN_FLIGHT_PER_CLIENT)
  }

  /** Takes the packet, or says why it has to wait. Throws {@link Violation}. */
  take(frame: FrameReader): Blocked | undefined {
    switch (frame.header >> 4) {
      case Type.publish:
        return this.#takePublish(frame)
      case Type.pingreq:
        expectEmpty(frame, 0xc0)
        this.#context.output.empty(0xd0)
        return undefined
      case Type.pubrel:
        if (!this.#exactlyOnce.delete(parseAcknowledgement(frame, Header.pubrel))) return this.#deliver(frame)
        this.#context.output.acknowledge(Header.pubcomp, frame.buffer.readUInt16BE(frame.body))
        return undefined
      case Type.puback:
      case Type.pubrec:
      case Type.pubcomp:
        parseAcknowledgement(frame, frame.header & 0xf0)
        return this.#deliver(frame)
      case Type.subscribe:
        return this.#subscribe(frame)
      case Type.unsubscribe:
        for (const filter of parseUnsubscribe(frame)) this.#forget(filter)
        return this.#deliver(frame)
      case Type.disconnect:
        expectEmpty(frame, 0xe0)
        return this.#deliver(frame)
      case Type.connect:
        throw new Violation('a second CONNECT [MQTT-3.1.0-2]')
      default:
        throw new Violation('a packet that only a server sends, or of no type [MQTT 2.2.1]')
    }
  }

  /** A PUBLISH longer than the limit has passed; `frame.kept` is its beginning. */
  takeOversized(frame: FrameReader): Blocked | undefined {
    const { kept } = frame
    const parts = readPublish(this.#publish, frame.header, kept, 0, kept.length)
    const topic = decodeText(kept, parts.topicStart, parts.topicEnd, 'topic')
    const detail = `a packet of ${frame.total} bytes`
    const route: RefusedRoute = { lane: 'refused', topic, code: 'payload_too_large', detail }
    return this.#refuse(route, kept, parts, kept.length)
  }

  /** Nothing waits to be acknowledged. */
  get isIdle(): boolean {
    return this.#acks.size === 0 && this.#inAedes === 0
  }

  /** A subscription was granted, or restored. */
  subscribed(filter: string): void {
    if (this.#isClosed || !canMatchTelemetry(filter)) return
    this.#filters ??= new Set()
    if (this.#filters.has(filter)) return
    this.#filters.add(filter)
    this.#context.interest.add(filter)
  }

  durable(): void {
    const { tally } = this.#context
    tally.inFlight -= 1
    if (this.#isClosed) {
      tally.abandoned += 1
      return
    }
    tally.acked += 1
    this.#acks.durable()
    this.#isSettling = true
  }

  settled(): void {
    if (!this.#isSettling) return
    this.#isSettling = false
    if (this.#isClosed) return
    this.#acks.release(this.#context.output)
    this.#owner.progress()
  }

  /** aedes wrote packets of these types. */
  wroteByAedes(types: readonly number[]): void {
    let acknowledged = 0
    for (const type of types) if (type === Type.puback || type === Type.pubrec) acknowledged += 1
    const own = Math.min(acknowledged, this.#inAedes)
    this.#inAedes -= own
    this.#context.tally.inFlight -= own
    this.#context.tally.acked += own
  }

  /** The connection is gone: what is on its way to the log goes there, but nobody is told. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#context.tally.inFlight -= this.#inAedes
    this.#context.tally.abandoned += this.#inAedes
    this.#inAedes = 0
    for (const filter of this.#filters ?? []) this.#context.interest.remove(filter)
    this.#filters = undefined
  }

  #takePublish(frame: FrameReader): Blocked | undefined {
    const { buffer, body, end, header } = frame
    const parts = readPublish(this.#publish, header, buffer, body, end)
    const { topicStart, topicEnd } = parts
    const route = this.#routes.find(buffer, topicStart, topicEnd, this.#context.authorizer.epoch) ?? this.#look(frame)
    switch (route.lane) {
      case 'telemetry':
        return this.#append(route, buffer, parts, end)
      case 'aedes':
        return this.#publishToAedes(frame, parts)
      case 'refused':
        return this.#refuse(route, buffer, parts, end)
    }
  }

  #look({ buffer }: FrameReader): Route {
    const { topicStart, topicEnd } = this.#publish
    const topic = decodeText(buffer, topicStart, topicEnd, 'topic')
    if (topic === '') throw new Violation('an empty topic [MQTT-4.7.3-1]')
    if (topic.includes('+') || topic.includes('#')) throw new Violation('a wildcard in a topic [MQTT-3.3.2-2]')
    const route = this.#context.router(this.#owner.principal, topic)
    this.#routes.add(Uint8Array.prototype.slice.call(buffer, topicStart, topicEnd), route)
    return route
  }

  #append(route: TelemetryRoute, buffer: Buffer, parts: PublishParts, end: number): Blocked | undefined {
    const { capacity, tally, clock, forwarder } = this.#context
    const { qos, id, payload } = parts
    if (qos === 0) {
      tally.qos0Received += 1
      if (capacity.shedsQos0) {
        tally.qos0Shed += 1
        return undefined
      }
    } else {
      if (this.#inAedes > 0) return 'lane'
      if (this.#acks.isFull) return 'client'
      if (capacity.isFull) return 'node'
      tally.received += 1
      if (qos === 2 && this.#isRepeated(id)) return undefined
      tally.inFlight += 1
      this.#acks.add(id, qos)
    }
    if (parts.retain) tally.retainIgnored += 1
    // A copy of its own: the record must not hold on to the whole chunk while it waits.
    const value = Buffer.allocUnsafe(end - payload)
    buffer.copy(value, 0, payload, end)
    clock.stamp(value.length)
    const record = { key: route.key, value, ms: clock.ms, ns: clock.ns, headers: route.headers }
    forwarder.enqueue(record, route.topic, qos === 0 ? undefined : this)
    return undefined
  }

  /** [MQTT-4.3.3-2]: until PUBREL the same id is the same message, and is only acknowledged again. */
  #isRepeated(id: number): boolean {
    if (!this.#exactlyOnce.has(id)) {
      this.#exactlyOnce.add(id)
      return false
    }
    this.#context.tally.acked += 1
    this.#acks.addReady(id, 2)
    this.#acks.release(this.#context.output)
    return true
  }

  #publishToAedes(frame: FrameReader, { qos }: PublishParts): Blocked | undefined {
    if (qos === 0) {
      const blocked = this.#deliver(frame)
      if (blocked === undefined) this.#context.tally.qos0Received += 1
      return blocked
    }
    if (this.#acks.size > 0) return 'lane'
    // aedes acknowledges QoS 1 at once and QoS 2 when all is delivered, each as it is done: so only messages of QoS 1
    // are given to it together.
    if (this.#inAedes > 0 && (qos === 2 || this.#qosInAedes === 2)) return 'lane'
    if (this.#inAedes >= this.#context.settings.MAX_IN_FLIGHT_PER_CLIENT) return 'client'
    const blocked = this.#deliver(frame)
    if (blocked !== undefined) return blocked
    this.#context.tally.received += 1
    this.#context.tally.inFlight += 1
    this.#inAedes += 1
    this.#qosInAedes = qos
    return undefined
  }

  #refuse(route: RefusedRoute, buffer: Buffer, { qos, id, payload }: PublishParts, end: number): Blocked | undefined {
    const { tally, settings } = this.#context
    if (qos === 0) {
      tally.qos0Received += 1
      tally.qos0Refused += 1
    } else {
      if (this.#inAedes > 0) return 'lane'
      if (this.#acks.isFull) return 'client'
      tally.received += 1
      tally.refused += 1
    }
    this.#record(
      route.code,
      route.detail,
      route.topic,
      buffer.subarray(payload, Math.min(end, payload + KEPT_PAYLOAD_BYTES)),
    )
    if (settings.REFUSED_PUBLISH === 'close') {
      this.#owner.close()
    } else if (qos > 0) {
      if (qos === 2) this.#exactlyOnce.add(id)
      this.#acks.addReady(id, qos)
      this.#acks.release(this.#context.output)
    }
    return undefined
  }

  #record(code: ErrorCode, detail: string, topic: string, payload: Buffer): void {
    const { clock, refusals } = this.#context
    const { name } = this.#owner.principal
    const { ms, ns } = clock.nextStamp(payload.length)
    const source = undefined
    const who = { who: name, key: name, topic, payload, ms, ns, source, firstFailedMs: ms, attempts: 1 }
    refusals.record({ stage: 'publish', code, detail, ...who })
  }

  #subscribe(frame: FrameReader): Blocked | undefined {
    const filters = parseSubscribe(frame)
    if (!this.#end.wantsMore) return 'aedes'
    const packet = copyOf(frame)
    // Telemetry comes at QoS 0, and SUBACK says so.
    const start = frame.end - frame.total
    for (const { filter, at } of filters) if (isTelemetryOnly(filter)) packet[at - start] = 0
    this.#end.deliver(packet)
    return undefined
  }

  #forget(filter: string): void {
    if (this.#filters?.delete(filter) === true) this.#context.interest.remove(filter)
  }

  #deliver(frame: FrameReader): Blocked | undefined {
    if (!this.#end.wantsMore) return 'aedes'
    this.#end.deliver(copyOf(frame))
    return undefined
  }
}

/** The packet with its fixed header, as bytes of its own: aedes keeps parts of it, the chunk goes. */
function copyOf({ buffer, end, total }: FrameReader): Buffer {
  return Buffer.from(buffer.subarray(end - total, end))
}
