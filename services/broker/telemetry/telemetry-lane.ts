import { isUtf8 } from 'node:buffer'
import { KEPT_PAYLOAD_BYTES } from '../../../shared/dead-letter.ts'
import { watchedHeaders } from '../../../shared/watch.ts'
import { reservedElements } from '../../../shared/stamps/reservation.ts'
import { deviceKey } from '../../../shared/topics.ts'
import { AckQueue } from '../mqtt/ack-queue.ts'
import { PacketIds } from '../mqtt/packet-ids.ts'
import type { Waiter } from './batch.ts'
import type { Blocked, LaneContext, LaneOwner } from './lane.ts'
import { Header } from '../mqtt/packets.ts'
import type { PublishParts } from '../mqtt/publish.ts'
import { Reason } from '../mqtt/v5/reason.ts'
import { digestOf } from './recent-messages.ts'
import type { AnsweringLane, Outcome, Repeats } from './repeats.ts'
import type { RecordHeaders } from '../../../shared/record.ts'
import type { RefusedRoute, TelemetryRoute } from '../../../shared/topic-routes.ts'

/**
 * The telemetry of one client: into the log, and an acknowledgement when it is durable. QoS 2 is ended here: PUBREC
 * after the append and PUBCOMP to the client's PUBREL. If the session outlives the connection, the id is written down in
 * between, so that the next connection knows the message when it comes again.
 */
export class TelemetryLane implements Waiter, AnsweringLane {
  readonly #context: LaneContext
  readonly #owner: LaneOwner
  readonly #acks: AckQueue
  /** QoS 2 between PUBLISH and PUBREL. */
  readonly #exactlyOnce = new PacketIds()
  /** Of a session that outlives the connection. */
  readonly #repeats: Repeats | undefined
  /** Waits for messages of QoS 2 of such a session. */
  readonly #writesDown: Waiter | undefined
  #isSettling = false
  #isClosed = false

  constructor(context: LaneContext, owner: LaneOwner) {
    this.#context = context
    this.#owner = owner
    this.#acks = new AckQueue(context.settings.MAX_IN_FLIGHT_PER_CLIENT)
    if (owner.lease === undefined) return
    const repeats = context.repeats.enter(owner.lease, this)
    this.#repeats = repeats
    this.#writesDown = {
      durable: () => repeats.toldExactlyOnce('acked'),
      refused: () => repeats.toldExactlyOnce('refused'),
      settled: () => this.settled(),
    }
  }

  get isClosed(): boolean {
    return this.#isClosed
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
    const { qos, payload, id } = parts
    if (qos > 0) {
      if (this.#acks.isFull) return 'client'
      if (backpressure.isFull) return 'node'
      // [MQTT-4.3.3-2]: until PUBREL the same id is the same message.
      if (qos === 2 && this.#exactlyOnce.has(id)) return this.#acknowledgeWithout(id, 2)
    } else if (backpressure.shedsQos0) {
      tally.qos0Received += 1
      tally.qos0Shed += 1
      return undefined
    }
    if (parts.retain && payload === end) return this.#takeNothing(id, qos)
    // Bytes of its own: the record must not hold on to the whole chunk while it waits.
    const value = Buffer.allocUnsafe(end - payload)
    buffer.copy(value, 0, payload, end)
    const repeats = qos > 0 ? this.#repeats : undefined
    const digest = repeats === undefined ? 0 : digestOf(route.topicSum, value)
    if (repeats?.isStored(parts, digest) === true) {
      tally.repeatsAcknowledged += 1
      return this.#acknowledgeWithout(id, 2)
    }
    const first = repeats?.firstStamp(parts, digest)
    if (first === undefined && !clock.stamp(reservedElements(value, route.isOfSeveral))) return 'node'
    const stamp = first ?? clock
    const { ms, ns } = stamp
    repeats?.note(parts, digest, stamp, first === undefined)
    if (first !== undefined) tally.repeatsRestamped += 1
    if (qos > 0) {
      tally.received += 1
      tally.inFlight += 1
      this.#acks.add(id, qos)
      if (qos === 2) this.#exactlyOnce.add(id)
    } else tally.qos0Received += 1
    if (parts.retain) tally.retainIgnored += 1
    let headers = route.headers.of(qos, parts.isDup, parts.retain)
    if (ms < route.watchedUntilMs) headers = this.#watched(headers, parts)
    const record = { key: route.key, value, ms, ns, scheme: clock.scheme, headers }
    forwarder.enqueue(record, route.topic, this.#waiterFor(qos))
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
    return this.#exactlyOnce.has(id) || this.#repeats?.expectsRelease(id) === true
  }

  /** Answers a PUBREL, at once or when the id is not written down any more. */
  complete(id: number): Blocked | undefined {
    // One that comes before its PUBREC would leave the id written down for good.
    if (this.#repeats?.isUnanswered(id) === true) return 'lane'
    this.#exactlyOnce.delete(id)
    if (this.#repeats?.release(id) !== true) this.#owner.output.acknowledge(Header.pubcomp, id)
    return undefined
  }

  /** The id is now that of a message in the other lane. */
  reuse(id: number): void {
    this.#repeats?.reuse(id)
  }

  /** The client has sent a PINGREQ. */
  heard(): void {
    this.#repeats?.heard()
  }

  durable(): void {
    if (this.#repeats?.holdsBack === true) this.#repeats.toldBehind('acked')
    else this.ended('acked')
  }

  refused(): void {
    if (this.#repeats?.holdsBack === true) this.#repeats.toldBehind('refused')
    else this.ended('refused')
  }

  ended(outcome: Outcome): void {
    if (this.#isTold()) this.#context.tally[outcome] += 1
  }

  released(id: number): void {
    if (this.#isClosed) return
    this.#owner.output.acknowledge(Header.pubcomp, id)
    this.#isSettling = true
  }

  fenced(): void {
    this.#owner.connection.close(Reason.takenOver)
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
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#repeats !== undefined) this.#context.repeats.leave(this.#repeats, this.#acks.size)
  }

  #watched(headers: RecordHeaders | undefined, { qos, isDup }: PublishParts): RecordHeaders {
    const { node, forwarder } = this.#context
    const watched = watchedHeaders(headers, { node, qos, isDup })
    forwarder.whenBegun(watched.begun)
    return watched.headers
  }

  #waiterFor(qos: number): Waiter | undefined {
    if (qos === 0) return undefined
    return qos === 2 ? (this.#writesDown ?? this) : this
  }

  /** The client clears what it takes for retained: there is nothing to be stored, and nothing is wrong. */
  #takeNothing(id: number, qos: number): undefined {
    const { tally } = this.#context
    tally.retainIgnored += 1
    if (qos === 0) return void (tally.qos0Received += 1)
    this.#repeats?.reuse(id)
    return this.#acknowledgeWithout(id, qos)
  }

  /** Nothing is stored: it is of QoS 2 and in the log, or holds nothing. */
  #acknowledgeWithout(id: number, qos: number): undefined {
    if (qos === 2) this.#exactlyOnce.add(id)
    this.#context.tally.received += 1
    this.#context.tally.acked += 1
    this.#acks.addReady(id, qos)
    this.#acks.release(this.#owner.output)
  }

  #leaveLetter({ code, detail, topic }: RefusedRoute, payload: Buffer): void {
    const { principal } = this.#owner
    const { name } = principal
    const key = principal.kind === 'device' ? deviceKey(principal.tenant, principal.uid) : name
    const { ms, ns } = this.#context.clock.read()
    const at = { ms, ns, firstFailedMs: ms, attempts: 1, source: undefined }
    this.#context.refusals.record({ stage: 'publish', code, detail, who: name, topic, key, payload, ...at })
  }
}
