import { isUtf8 } from 'node:buffer'
import { KEPT_PAYLOAD_BYTES } from '../../../shared/dead-letter.ts'
import { reservedElements } from '../../../shared/stamps/reservation.ts'
import { AckQueue } from '../mqtt/ack-queue.ts'
import { PacketIds } from '../mqtt/packet-ids.ts'
import type { Waiter } from './batch.ts'
import type { Blocked, LaneContext, LaneOwner } from './lane.ts'
import { Header } from '../mqtt/packets.ts'
import type { PublishParts } from '../mqtt/publish.ts'
import type { RefusedRoute, TelemetryRoute } from './routes.ts'

/**
 * The telemetry of one client: into the log, and an acknowledgement when it is durable. QoS 2 is ended here: PUBREC
 * after the append and PUBCOMP to the client's PUBREL. Nothing of it is stored for a next connection, because a message
 * that is repeated then is a record more, which changes nothing for readings that carry their time.
 */
export class TelemetryLane implements Waiter {
  readonly #context: LaneContext
  readonly #owner: LaneOwner
  readonly #acks: AckQueue
  /** QoS 2 between PUBLISH and PUBREL. */
  readonly #exactlyOnce = new PacketIds()
  #isSettling = false
  #isClosed = false

  constructor(context: LaneContext, owner: LaneOwner) {
    this.#context = context
    this.#owner = owner
    this.#acks = new AckQueue(context.settings.MAX_IN_FLIGHT_PER_CLIENT)
  }

  /** Messages that are not acknowledged yet. */
  get pending(): number {
    return this.#acks.size
  }

  /** QoS 2 between PUBLISH and PUBCOMP. */
  get open(): number {
    return this.#exactlyOnce.size
  }

  append(route: TelemetryRoute, buffer: Buffer, parts: PublishParts, end: number): Blocked | undefined {
    if (parts.isText && !isUtf8(buffer.subarray(parts.payload, end))) {
      const detail = 'the payload is not UTF-8, although the Payload Format Indicator says so'
      return this.refuse({ lane: 'refused', topic: route.topic, code: 'payload_not_utf8', detail }, buffer, parts, end)
    }
    const { tally, backpressure, clock, forwarder } = this.#context
    const { qos, payload } = parts
    if (qos > 0) {
      if (this.#acks.isFull) return 'client'
      if (backpressure.isFull) return 'node'
    } else if (backpressure.shedsQos0) {
      tally.qos0Received += 1
      tally.qos0Shed += 1
      return undefined
    }
    // Bytes of its own: the record must not hold on to the whole chunk while it waits.
    const value = Buffer.allocUnsafe(end - payload)
    buffer.copy(value, 0, payload, end)
    if (!clock.stamp(reservedElements(value))) return 'node'
    if (qos > 0) {
      tally.received += 1
      if (qos === 2 && this.#isRepeated(parts.id)) return undefined
      tally.inFlight += 1
      this.#acks.add(parts.id, qos)
    } else tally.qos0Received += 1
    if (parts.retain) tally.retainIgnored += 1
    const { ms, ns, scheme } = clock
    const record = { key: route.key, value, ms, ns, scheme, headers: route.headers }
    forwarder.enqueue(record, route.topic, qos > 0 ? this : undefined)
    return undefined
  }

  /** Acknowledges without storing (or closes, by REFUSED_PUBLISH), counts, and leaves a dead letter. */
  refuse(route: RefusedRoute, buffer: Buffer, parts: PublishParts, end: number): Blocked | undefined {
    const { tally, settings } = this.#context
    const { qos, id, payload } = parts
    const { reason, text } = this.#owner.protocol.refusePublish(route.code, route.detail)
    if (qos > 0) {
      if (this.#acks.isFull) return 'client'
      tally.received += 1
      tally.refused += 1
    } else {
      tally.qos0Received += 1
      tally.qos0Refused += 1
    }
    this.#leaveLetter(route, buffer.subarray(payload, Math.min(end, payload + KEPT_PAYLOAD_BYTES)))
    if (settings.REFUSED_PUBLISH === 'close') {
      this.#owner.connection.close(reason, text)
    } else if (qos > 0) {
      // A PUBREC with an error ends the message: its id is free [MQTT 5.0, 4.3.3].
      if (qos === 2 && reason === 0) this.#exactlyOnce.add(id)
      this.#acks.addReady(id, qos, reason, text)
      this.#acks.release(this.#owner.output)
    }
    return undefined
  }

  /** True when the message of this id was telemetry of this connection. */
  expectsRelease(id: number): boolean {
    return this.#exactlyOnce.has(id)
  }

  /** Answers a PUBREL. */
  complete(id: number): void {
    this.#exactlyOnce.delete(id)
    this.#owner.output.acknowledge(Header.pubcomp, id)
  }

  durable(): void {
    if (this.#isTold()) this.#context.tally.acked += 1
  }

  refused(): void {
    if (this.#isTold()) this.#context.tally.refused += 1
  }

  /** The oldest message that waited for the log has its end. False when its client is gone. */
  #isTold(): boolean {
    const { tally } = this.#context
    tally.inFlight -= 1
    if (this.#isClosed) {
      tally.abandoned += 1
      return false
    }
    this.#acks.durable()
    this.#isSettling = true
    return true
  }

  settled(): void {
    if (!this.#isSettling) return
    this.#isSettling = false
    if (this.#isClosed) return
    this.#acks.release(this.#owner.output)
    this.#owner.connection.progress()
  }

  /** The connection is gone: what is on its way to the log goes there, but is not acknowledged. */
  close(): void {
    this.#isClosed = true
  }

  /** [MQTT-4.3.3-2]: until PUBREL the same id is the same message, and is only acknowledged again. */
  #isRepeated(id: number): boolean {
    if (!this.#exactlyOnce.has(id)) {
      this.#exactlyOnce.add(id)
      return false
    }
    this.#context.tally.acked += 1
    this.#acks.addReady(id, 2)
    this.#acks.release(this.#owner.output)
    return true
  }

  #leaveLetter({ code, detail, topic }: RefusedRoute, payload: Buffer): void {
    const { name } = this.#owner.principal
    const { ms, ns } = this.#context.clock.read()
    const at = { ms, ns, firstFailedMs: ms, attempts: 1, source: undefined }
    this.#context.refusals.record({ stage: 'publish', code, detail, who: name, topic, key: name, payload, ...at })
  }
}
