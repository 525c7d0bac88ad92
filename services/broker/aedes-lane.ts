import type { AedesEnd } from './aedes-end.ts'
import type { FrameReader } from './frames.ts'
import { canMatchTelemetry, isTelemetryOnly } from './interest.ts'
import type { Blocked, LaneContext } from './lanes.ts'
import { parseSubscribe, parseUnsubscribe, Type } from './packets.ts'

/** What one client exchanges with aedes: packets unchanged, but for the QoS that a subscription to telemetry gets. */
export class AedesLane {
  readonly #context: LaneContext
  readonly #end: AedesEnd
  /** Messages without PUBACK or PUBREC. */
  #messages = 0
  /** PUBRELs without PUBCOMP. */
  #releases = 0
  /** QoS of the messages. */
  #qos = 0
  /** A SUBSCRIBE or UNSUBSCRIBE is not answered; aedes would overtake it with a later one that has less to do. */
  #isSubscribing = false
  /** Subscriptions that can match telemetry. */
  #filters: Set<string> | undefined
  #isClosed = false

  constructor(context: LaneContext, end: AedesEnd) {
    this.#context = context
    this.#end = end
  }

  /** What aedes has not answered yet. */
  get pending(): number {
    return this.#messages + this.#releases
  }

  /**
   * aedes acknowledges QoS 1 at once and QoS 2 when all is delivered, each as it is done: for acknowledgements in order
   * only messages of QoS 1 are given to it together.
   */
  publish(frame: FrameReader, qos: number): Blocked | undefined {
    const { tally, settings } = this.#context
    if (qos > 0 && this.#messages > 0) {
      if (qos === 2 || this.#qos === 2) return 'lane'
      if (this.#messages >= settings.MAX_IN_FLIGHT_PER_CLIENT) return 'client'
    }
    const blocked = this.deliver(frame)
    if (blocked !== undefined) return blocked
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
  release(frame: FrameReader): Blocked | undefined {
    const blocked = this.deliver(frame)
    if (blocked === undefined) this.#releases += 1
    return blocked
  }

  /** Throws {@link Violation}. */
  subscribe(frame: FrameReader): Blocked | undefined {
    if (this.#isSubscribing) return 'lane'
    const filters = parseSubscribe(frame)
    if (!this.#end.wantsMore) return 'aedes'
    const packet = copyOf(frame)
    // Telemetry comes at QoS 0, and SUBACK says so.
    const start = frame.end - frame.total
    for (const { filter, at } of filters) if (isTelemetryOnly(filter)) packet[at - start] = 0
    this.#end.deliver(packet)
    this.#isSubscribing = true
    return undefined
  }

  /** Throws {@link Violation}. */
  unsubscribe(frame: FrameReader): Blocked | undefined {
    if (this.#isSubscribing) return 'lane'
    const filters = parseUnsubscribe(frame)
    const blocked = this.deliver(frame)
    if (blocked !== undefined) return blocked
    this.#isSubscribing = true
    for (const filter of filters) if (this.#filters?.delete(filter) === true) this.#context.interest.remove(filter)
    return undefined
  }

  deliver(frame: FrameReader): Blocked | undefined {
    if (!this.#end.wantsMore) return 'aedes'
    this.#end.deliver(copyOf(frame))
    return undefined
  }

  /** A subscription was granted, or restored. */
  subscribed(filter: string): void {
    if (this.#isClosed || !canMatchTelemetry(filter)) return
    this.#filters ??= new Set()
    if (this.#filters.has(filter)) return
    this.#filters.add(filter)
    this.#context.interest.add(filter)
  }

  /** aedes wrote packets of these types. */
  wrote(types: readonly number[]): void {
    let acknowledged = 0
    for (const type of types) {
      if (type === Type.puback || type === Type.pubrec) acknowledged += 1
      else if (type === Type.pubcomp && this.#releases > 0) this.#releases -= 1
      else if (type === Type.suback || type === Type.unsuback) this.#isSubscribing = false
    }
    const own = Math.min(acknowledged, this.#messages)
    this.#messages -= own
    this.#context.tally.inFlight -= own
    this.#context.tally.acked += own
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#context.tally.inFlight -= this.#messages
    this.#context.tally.abandoned += this.#messages
    this.#messages = 0
    for (const filter of this.#filters ?? []) this.#context.interest.remove(filter)
    this.#filters = undefined
  }
}

/** The packet with its fixed header, as bytes of its own: aedes keeps parts of it, the chunk goes. */
function copyOf({ buffer, end, total }: FrameReader): Buffer {
  return Buffer.from(buffer.subarray(end - total, end))
}
