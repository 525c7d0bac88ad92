// Invariant: what a login took is given back once, however the connection ends, and in the order that `Client` names.
import type { Principal } from '../../../shared/registry/port.ts'
import type { Lease } from '../../../shared/sessions/port.ts'
import type { Allowance } from '../../../shared/rates.ts'
import type { Protocol } from '../mqtt/protocol.ts'
import { Mqtt5 } from '../mqtt/v5/protocol.ts'
import { AedesLane } from '../sessions/aedes-lane.ts'
import {
  AedesStream,
  type AedesPacket,
  type AedesStreamConnection,
  type AedesStreamOwner,
} from '../sessions/aedes-stream.ts'
import { PlainDelivery, type Delivery } from '../sessions/delivery.ts'
import { Mqtt5Delivery } from '../sessions/delivery-v5.ts'
import type { AedesClient } from '../sessions/sessions.ts'
import type { LaneConnection, LaneOwner } from '../telemetry/lane.ts'
import type { BrokerContext } from './broker-context.ts'
import type { ConnectionState } from './connection-state.ts'
import { giveBack, type Welcome } from './connect-flow.ts'
import { PacketDispatch } from './packet-dispatch.ts'
import type { EndReason } from './presence.ts'
import type { SocketWriter } from './socket-writer.ts'

/** The connection of a client. */
export interface ClientConnection extends LaneConnection, AedesStreamConnection {
  readonly isClosed: boolean
  readonly state: Pick<ConnectionState, 'silence'>
}

/**
 * A client that has logged in: its packets go to the log or to aedes, and their answers back.
 *
 * Invariant: what its login took is given back once, however the connection ends, and in this order: nothing more is
 * acknowledged, presence is told, aedes has run its last steps for the client (its will is on its way) and the socket is
 * gone, the time of the session begins, and only then its client id and its rate are free for others.
 */
export class Client implements AedesStreamOwner, LaneOwner {
  readonly principal: Principal
  readonly clientId: string
  readonly protocol: Protocol
  readonly allowance: Allowance | undefined
  readonly lease: Lease | undefined
  readonly connection: LaneConnection
  readonly output: SocketWriter
  readonly dispatch: PacketDispatch
  /** It has its CONNACK. */
  isAnswered = false
  readonly #context: BrokerContext
  readonly #stream: AedesStream
  readonly #lane: AedesLane
  readonly #delivery: Delivery
  readonly #aedes: AedesClient
  readonly #welcome: Welcome
  readonly #silence: () => number

  /** Begins the session. Error: `internal` when the connection is closed; then what the login took is the caller's. */
  constructor(
    context: BrokerContext,
    connection: ClientConnection,
    writer: SocketWriter,
    protocol: Protocol,
    welcome: Welcome,
  ) {
    const { sessions, tally, presence, invariants } = context
    const { principal } = welcome.admitted
    if (connection.isClosed) throw invariants.broken('open_at_login', principal.name)
    this.#context = context
    this.connection = connection
    this.output = writer
    this.protocol = protocol
    this.principal = principal
    this.clientId = welcome.admitted.clientId
    this.allowance = welcome.admitted.allowance
    this.lease = welcome.lease
    this.#welcome = welcome
    this.#silence = () => connection.state.silence
    const stream = new AedesStream(this, connection)
    const lane = new AedesLane(context, stream, this)
    const { connack } = welcome
    const { properties } = sessions
    this.#stream = stream
    this.#lane = lane
    this.#delivery =
      protocol instanceof Mqtt5
        ? new Mqtt5Delivery({ protocol, connack, sink: writer, lane, stream, tally, invariants, properties })
        : new PlainDelivery(writer, lane, connack)
    this.dispatch = new PacketDispatch(context, this, lane, this.#delivery)
    this.#aedes = sessions.open(stream)
    stream.deliver(welcome.connect, welcome.extras)
    presence.note({ principal: this.principal, ...welcome.session, silence: this.#silence, ended: undefined })
  }

  isSubscribed(filter: string): boolean {
    return this.#aedes.subscriptions[filter] !== undefined
  }

  subscriptionCount(): number {
    return Object.keys(this.#aedes.subscriptions).length
  }

  get unsentBytes(): number {
    return this.output.unsentBytes + this.#stream.writableLength + this.#delivery.heldBytes
  }

  packetsFromAedes(packets: readonly AedesPacket[], bytes: Buffer, taken: () => void): void {
    this.isAnswered = true
    this.#delivery.forward(packets, bytes, taken)
    this.#lane.wrote(packets)
  }

  forwards(hasProperties: boolean): void {
    this.#delivery.expect(hasProperties)
  }

  subscribed(filter: string): void {
    this.#lane.subscribed(filter)
  }

  isOverQuota(share: string): void {
    this.#lane.isOverQuota(share)
  }

  releasesNothing(id: number): void {
    this.#lane.releasesNothing(id)
  }

  /** The client has left, or its socket has ended without a word and its will is to be published. */
  finish(hasLeft: boolean): void {
    if (hasLeft) this.#lane.disconnect()
    else this.leaveWithWill()
  }

  /** aedes publishes the will when its input ends without DISCONNECT, and closes when it has read all before. */
  leaveWithWill(): void {
    this.#stream.push(null)
  }

  /** Gives back what the login took, at the end when the socket is `gone`; to be called once. Never rejects. */
  async end(reason: EndReason, gone: Promise<void>): Promise<void> {
    this.dispatch.close()
    const session = { ...this.#welcome.session, silence: this.#silence }
    this.#context.presence.note({ principal: this.principal, ...session, ended: reason })
    const forgotten = new Promise<void>((resolve) => this.#aedes.close(resolve))
    this.#stream.destroy()
    await Promise.all([forgotten, gone])
    giveBack(this.#context, this.#welcome)
  }
}
