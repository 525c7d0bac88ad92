import type { Principal } from '../../../shared/registry/port.ts'
import { AedesStream, type AedesStreamOwner, type AedesPacket } from '../sessions/aedes-stream.ts'
import { PlainDelivery, type Delivery } from '../sessions/delivery.ts'
import type { Protocol } from '../mqtt/protocol.ts'
import type { BrokerContext } from './broker-context.ts'
import type { Welcome } from './connect-flow.ts'
import type { LaneOwner } from '../telemetry/lane.ts'
import { PacketDispatch } from './packet-dispatch.ts'
import type { Allowance } from '../access/rates.ts'
import { Mqtt5Delivery } from '../sessions/delivery-v5.ts'
import { Mqtt5 } from '../mqtt/v5/protocol.ts'
import type { SocketWriter } from './socket-writer.ts'
import type { EndReason, PresenceWriter } from './presence.ts'
import type { AedesClient } from '../sessions/sessions.ts'

/** The connection of a conversation. */
export interface ConversationGate {
  /** aedes finished the CONNECT. */
  ready(): void
  /** Writes what is in `output`, and goes on reading when it had to wait. */
  progress(): void
  /** What a lane may have waited for has come: an answer of aedes, or room for more. */
  aedesMoved(): void
  /** aedes closed the connection; with an error when it was not the client who left. */
  aedesClosed(error: Error | null): void
  /** Closes the connection; MQTT 5 is told the reason. */
  close(reason: number, text?: string): void
}

/** What a client that was let in says to the log and to aedes, and what it is told. */
export class Conversation implements AedesStreamOwner, LaneOwner {
  readonly principal: Principal
  readonly protocol: Protocol
  readonly allowance: Allowance | undefined
  readonly lanes: PacketDispatch
  /** The client has its CONNACK. */
  isAnswered = false
  readonly #connection: ConversationGate
  readonly #writer: SocketWriter
  readonly #stream: AedesStream
  readonly #delivery: Delivery
  readonly #client: AedesClient
  readonly #presence: Pick<PresenceWriter, 'note'>
  readonly #session: Welcome['session']

  constructor(
    context: BrokerContext,
    connection: ConversationGate,
    writer: SocketWriter,
    protocol: Protocol,
    welcome: Welcome,
  ) {
    const { sessions, tally, presence } = context
    this.#connection = connection
    this.#writer = writer
    this.protocol = protocol
    this.principal = welcome.admitted.principal
    this.allowance = welcome.admitted.allowance
    this.#presence = presence
    this.#session = welcome.session
    const stream = new AedesStream(this)
    this.#stream = stream
    this.lanes = new PacketDispatch(context, this, stream)
    const lane = this.lanes.aedes
    this.#delivery =
      protocol instanceof Mqtt5
        ? new Mqtt5Delivery({
            protocol,
            connack: welcome.connack,
            sink: writer,
            lane,
            stream,
            tally,
            properties: sessions.properties,
          })
        : new PlainDelivery(writer, lane)
    this.#client = sessions.open(stream)
    stream.deliver(welcome.connect, welcome.extras)
    presence.note({ principal: this.principal, ...welcome.session, ended: undefined })
  }

  isSubscribed(filter: string): boolean {
    return this.#client.subscriptions[filter] !== undefined
  }

  subscriptionCount(): number {
    return Object.keys(this.#client.subscriptions).length
  }

  get unsentBytes(): number {
    return this.#writer.unsentBytes + this.#stream.writableLength + this.#delivery.heldBytes
  }

  /** The client has left, or its socket has ended without a word and its will is to be published. */
  finish(hasLeft: boolean): void {
    if (hasLeft) this.lanes.aedes.disconnect()
    else this.leaveWithWill()
  }

  close(reason: number, text?: string): void {
    this.#connection.close(reason, text)
  }

  /** Nobody is told anything any more. Resolves when aedes has run the last steps of the client. */
  end(reason: EndReason): Promise<void> {
    this.lanes.close()
    this.#presence.note({ principal: this.principal, ...this.#session, ended: reason })
    const forgotten = new Promise<void>((resolve) => this.#client.close(resolve))
    this.#stream.destroy()
    return forgotten
  }

  progress(): void {
    this.#connection.progress()
  }

  ready(): void {
    this.#connection.ready()
  }

  packetsFromAedes(packets: readonly AedesPacket[], bytes: Buffer, taken: () => void): void {
    this.isAnswered = true
    this.#delivery.forward(packets, bytes, taken)
    this.lanes.aedes.wrote(packets)
    this.#connection.aedesMoved()
  }

  aedesWantsMore(): void {
    this.#connection.aedesMoved()
  }

  aedesClosed(error: Error | null): void {
    this.#connection.aedesClosed(error)
  }

  subscribed(filter: string): void {
    this.lanes.aedes.subscribed(filter)
  }

  delivered(id: number): void {
    this.#delivery.delivered(id)
  }

  /** aedes publishes the will when its input ends without DISCONNECT, and closes when it has read all before. */
  leaveWithWill(): void {
    this.#stream.push(null)
  }
}
