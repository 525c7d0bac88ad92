import type { BrokerSettings } from '../../config/broker.ts'
import type { Principal } from '../../shared/registry/port.ts'
import type { SmallPackets } from './acks.ts'
import type { AedesEnd } from './aedes-end.ts'
import { AedesLane } from './aedes-lane.ts'
import type { Authorizer } from './authorize.ts'
import type { Capacity } from './capacity.ts'
import type { Tally } from './counters.ts'
import type { Forwarder } from './forward.ts'
import type { FrameReader } from './frames.ts'
import type { Interest } from './interest.ts'
import { decodeText, expectEmpty, Header, parseAcknowledgement, Type, Violation } from './packets.ts'
import { readPublish, type PublishParts } from './publish-packet.ts'
import type { ReceiveClock } from '../../shared/receive-clock.ts'
import type { Refusals } from './refusals.ts'
import { RouteCache, type RefusedRoute, type Route, type Router } from './routes.ts'
import { TelemetryLane } from './telemetry-lane.ts'

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
 * everything else goes to aedes. All acknowledgements leave in the order of the messages [MQTT-4.6.0-2], PUBCOMPs in
 * that of the PUBRELs: what is answered goes into the other lane only when nothing waits in this one.
 */
export class Lanes {
  readonly telemetry: TelemetryLane
  readonly aedes: AedesLane
  readonly #context: LaneContext
  readonly #owner: LaneOwner
  readonly #routes = new RouteCache()
  readonly #publish: PublishParts = { qos: 0, retain: false, topicStart: 0, topicEnd: 0, id: 0, payload: 0 }

  constructor(context: LaneContext, owner: LaneOwner, end: AedesEnd) {
    this.#context = context
    this.#owner = owner
    this.telemetry = new TelemetryLane(context, owner)
    this.aedes = new AedesLane(context, end)
  }

  /** Nothing waits to be acknowledged. */
  get isIdle(): boolean {
    return this.telemetry.pending === 0 && this.aedes.pending === 0
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
        return this.#takeRelease(frame, parseAcknowledgement(frame, Header.pubrel))
      case Type.puback:
      case Type.pubrec:
      case Type.pubcomp:
        parseAcknowledgement(frame, frame.header & 0xf0)
        return this.aedes.deliver(frame)
      case Type.subscribe:
        return this.aedes.subscribe(frame)
      case Type.unsubscribe:
        return this.aedes.unsubscribe(frame)
      case Type.disconnect:
        expectEmpty(frame, 0xe0)
        return this.aedes.deliver(frame)
      case Type.connect:
        throw new Violation('a second CONNECT [MQTT-3.1.0-2]')
      default:
        throw new Violation('a packet that only a server sends, or of no type [MQTT 2.2.1]')
    }
  }

  /** A PUBLISH longer than the limit has passed; `frame.kept` is its beginning. Throws {@link Violation}. */
  takeOversized(frame: FrameReader): Blocked | undefined {
    const { kept } = frame
    const parts = readPublish(this.#publish, frame.header, kept, 0, kept.length)
    const topic = decodeTopic(kept, parts)
    const detail = `a packet of ${frame.total} bytes`
    const route: RefusedRoute = { lane: 'refused', topic, code: 'payload_too_large', detail }
    if (parts.qos > 0 && this.aedes.pending > 0) return 'lane'
    return this.telemetry.refuse(route, kept, parts, kept.length)
  }

  /** The connection is gone. */
  close(): void {
    this.telemetry.close()
    this.aedes.close()
  }

  #takePublish(frame: FrameReader): Blocked | undefined {
    const { buffer, body, end, header } = frame
    const parts = readPublish(this.#publish, header, buffer, body, end)
    const { epoch } = this.#context.authorizer
    const route = this.#routes.find(buffer, parts.topicStart, parts.topicEnd, epoch) ?? this.#look(buffer, parts)
    if (parts.qos > 0 && (route.lane === 'aedes' ? this.telemetry : this.aedes).pending > 0) return 'lane'
    switch (route.lane) {
      case 'telemetry':
        return this.telemetry.append(route, buffer, parts, end)
      case 'aedes':
        return this.aedes.publish(frame, parts.qos)
      case 'refused':
        return this.telemetry.refuse(route, buffer, parts, end)
    }
  }

  #takeRelease(frame: FrameReader, id: number): Blocked | undefined {
    if (!this.telemetry.expectsRelease(id)) return this.aedes.release(frame)
    if (this.aedes.pending > 0) return 'lane'
    this.telemetry.complete(id)
    return undefined
  }

  #look(buffer: Buffer, parts: PublishParts): Route {
    const route = this.#context.router(this.#owner.principal, decodeTopic(buffer, parts))
    this.#routes.add(Uint8Array.prototype.slice.call(buffer, parts.topicStart, parts.topicEnd), route)
    return route
  }
}

function decodeTopic(buffer: Buffer, { topicStart, topicEnd }: PublishParts): string {
  const topic = decodeText(buffer, topicStart, topicEnd, 'topic')
  if (topic === '') throw new Violation('an empty topic [MQTT-4.7.3-1]')
  if (topic.includes('+') || topic.includes('#')) throw new Violation('a wildcard in a topic [MQTT-3.3.2-2]')
  return topic
}
