import type { Duplex } from 'node:stream'
import { parseConnect } from '../mqtt/connect.ts'
import { Client, type ClientConnection } from './client.ts'
import { ConnectionState } from './connection-state.ts'
import { MQTT311, type Protocol } from '../mqtt/protocol.ts'
import type { FrameReader } from '../mqtt/frame-reader.ts'
import type { BrokerContext } from './broker-context.ts'
import { giveBack, protocolOf, noteRefusal, welcome, type Welcome } from './connect-flow.ts'
import { SocketReader, type PacketTaker } from './socket-reader.ts'
import type { Blocked } from '../telemetry/lane.ts'
import type { Replaceable } from '../sessions/takeovers.ts'
import { Reason, reasonOf } from '../mqtt/v5/reason.ts'
import type { Origin } from '../listeners/origin.ts'
import { SocketWriter } from './socket-writer.ts'
import { connack, Refused, Type, Violation } from '../mqtt/packets.ts'
import { endReasonOf } from './presence.ts'

/** Why the next packet waits: the table is in lane.ts. */
type Reasons = Blocked | 'login' | 'socket' | 'deaf'
const NOTHING = (): void => undefined

/**
 * One client's connection, between its socket and aedes. It reads packets, logs the client in, and gives each packet to
 * its lane; what a lane cannot take yet it holds, and stops reading the socket. It owns the client's keepalive, because
 * time in which we do not read does not count. The states are those of connection-state.ts.
 */
export class Connection implements ClientConnection, Replaceable, PacketTaker<Reasons> {
  /** Resolves when the connection is gone for good. */
  readonly ended: Promise<void>
  readonly state: ConnectionState
  readonly #socket: Duplex
  readonly #context: BrokerContext
  readonly #reader: SocketReader
  readonly #writer: SocketWriter
  readonly #origin: Origin
  #protocol: Protocol = MQTT311
  #client: Client | undefined
  #blocked: Reasons | undefined
  /** Packets are being taken: what they cause must not take packets itself. */
  #isTaking = false
  /** Nothing more is taken: the client has left, or the broker closes. */
  #isDeaf = false
  #hasInputEnded = false
  /** It said so: nothing more is said to it. */
  #hasLeft = false
  /** Why it was closed here, in codes of MQTT 5. */
  #closedFor: number | undefined
  /** What the login took is given back; begins when the connection closes, and waits for its socket to be gone. */
  #givenBack: Promise<void> | undefined
  #resolveGone = NOTHING
  #resolveEnded = NOTHING

  constructor(socket: Duplex, origin: Origin, context: BrokerContext) {
    this.#socket = socket
    this.#context = context
    this.state = new ConnectionState(context.time)
    this.#origin = origin
    this.#writer = new SocketWriter(socket, context.output, this)
    this.#reader = new SocketReader(socket, context.backpressure, this.#writer)
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve))
    socket.on('data', (chunk: Buffer) => this.#onData(chunk)).on('end', () => this.#onEnd())
    socket.on('drain', () => this.progress()).on('close', () => this.#onGone())
    socket.on('error', (error) => context.logger.debug({ reason: error.message }, 'socket error'))
  }

  get isClosed(): boolean {
    return this.state.isClosed
  }

  get who(): string | undefined {
    return this.#client?.principal.name
  }

  /** Called every second. */
  tick(): void {
    const state = this.state
    // Time in which we do not read is not the client's silence.
    if (state.phase === 'open' && this.#blocked !== undefined) state.heard()
    if (!state.isOverdue) return
    if (state.phase === 'closing') return void this.#socket.destroy()
    if (state.phase === 'half-closed') return this.#finish()
    if (state.phase === 'open') this.#context.tally.keepaliveTimeouts += 1
    this.close(state.phase === 'open' ? Reason.keepAliveTimeout : Reason.busy)
  }

  /** Reads nothing more; what was taken is still acknowledged. For the shutdown. */
  stopReading(): void {
    this.#isDeaf = true
    this.#blocked ??= 'deaf'
    this.#socket.pause()
  }

  /** Closes the connection; MQTT 5 is told the reason. The will fires unless the client has left. */
  close(reason: number = Reason.unspecified, text?: string): void {
    if (!this.state.isClosed) this.#closedFor ??= reason
    if (this.#client?.isAnswered === true) this.#closeWith(this.#protocol.disconnect(reason, text))
    // Some clients never come back after a CONNACK that refuses; those of a node that stops shall come to another one.
    else if (this.state.phase !== 'admitting' || reason === Reason.shuttingDown) this.#closeWith(undefined)
    else this.#closeWith(this.#protocol.refuseConnect(new Refused('broker_overloaded', '', connack(3), '')))
  }

  /** Something that a packet may have waited for has come. */
  progress(): void {
    if (this.#isTaking) return
    if (this.#blocked === undefined && this.state.phase === 'open') this.#writer.flush()
    else this.#take()
  }

  ready(): void {
    if (this.state.phase !== 'admitting') return
    this.state.enter(this.#hasInputEnded ? 'half-closed' : 'open')
    this.#take()
  }

  aedesMoved(): void {
    if (this.#blocked === 'lane' || this.#blocked === 'client' || this.#blocked === 'aedes') this.progress()
  }

  aedesClosed(error: Error | null): void {
    if (error === null) return this.#closeWith(undefined)
    this.#context.logger.debug({ who: this.who, reason: error.message }, 'closed by the broker')
    this.close()
  }

  obstacle(): Reasons | undefined {
    if (this.#isDeaf || this.isClosed) return 'deaf'
    if (this.state.phase === 'admitting') return 'login'
    return this.#writer.isClogged ? 'socket' : undefined
  }

  takePacket(frame: FrameReader): Blocked | undefined {
    const type = frame.header >> 4
    if (this.#client === undefined) {
      if (type !== Type.connect) throw new Violation('the first packet is not CONNECT [MQTT-3.1.0-1]')
      return void this.#takeConnect(frame)
    }
    const blocked = this.#client.dispatch.take(frame)
    if (type === Type.disconnect && blocked === undefined) this.#isDeaf = this.#hasLeft = true
    return blocked
  }

  takeOversized(frame: FrameReader): Blocked | undefined {
    return this.#client?.dispatch.takeOversized(frame)
  }

  #onData(chunk: Buffer): void {
    if (this.isClosed) return
    this.state.received()
    this.#reader.frames.feed(chunk)
    this.#take()
  }

  /** Takes packets until there are none, or one has to wait. */
  #take(): void {
    if (this.#isTaking || this.isClosed) return
    this.#isTaking = true
    try {
      this.#blocked = this.#reader.takeAll(this)
    } catch (error) {
      this.#turnAway(error)
    } finally {
      this.#isTaking = false
    }
    this.#writer.flush()
    if (this.isClosed) return
    if (this.#blocked !== undefined) {
      if (this.#blocked === 'node') this.#context.backpressure.wait(this)
      if (this.#blocked === 'rate') this.#context.rates.wait(this)
      this.#reader.hold(this.state.phase === 'open')
      return this.#writer.flush()
    }
    if (this.#reader.unhold()) this.state.heard()
    if (this.state.phase === 'half-closed' && this.#client?.dispatch.isIdle === true) this.#finish()
  }

  async #takeConnect(frame: FrameReader): Promise<void> {
    let welcomed: Welcome | undefined
    try {
      const packet = parseConnect(frame)
      this.#protocol = protocolOf(packet, this.#context)
      this.state.enter('admitting')
      welcomed = await welcome(this.#context, this, packet, this.#protocol, this.#origin)
      if (welcomed === undefined) return
      if (this.isClosed) return giveBack(this.#context, welcomed)
      this.state.keepalive = welcomed.keepalive
      this.#reader.widen(welcomed.packetBytes)
      this.#client = new Client(this.#context, this, this.#writer, this.#protocol, welcomed)
    } catch (error) {
      this.#turnAway(error)
      if (welcomed !== undefined) giveBack(this.#context, welcomed)
    }
  }

  #turnAway(error: unknown): void {
    this.#writer.flush()
    if (!(error instanceof Refused)) {
      this.#context.logger.error({ err: error, who: this.who }, 'a connection failed')
      return this.close()
    }
    const who = error.who || (this.who ?? this.#origin.remoteAddress)
    noteRefusal(this.#context, error, this.#reader.frames.header >> 4, who)
    if (this.state.phase === 'admitting') return this.#closeWith(this.#protocol.refuseConnect(error))
    if (this.state.phase === 'connecting') return this.#closeWith(error.answer)
    this.close(error instanceof Violation ? error.reason : reasonOf(error.code), error.message)
  }

  #closeWith(answer: Buffer | undefined): void {
    if (this.isClosed) return
    this.state.enter('closing')
    this.#context.backpressure.forget(this)
    this.#context.rates.forget(this)
    this.#reader.drop()
    if (this.#isTaking) this.#writer.flush()
    if (answer !== undefined && !this.#hasLeft) this.#writer.write(answer)
    if (this.#client !== undefined) this.#givenBack = this.#endClient(this.#client)
    // Read on, so that the end of the other side is seen.
    this.#socket.resume()
    this.#writer.end(answer !== undefined && this.#client !== undefined ? () => this.#onGone() : undefined)
  }

  /** The client has closed its side: what it sent before is taken and answered, for a while. */
  #onEnd(): void {
    this.#hasInputEnded = true
    if (this.state.phase === 'admitting') return
    if (this.state.phase !== 'open') return this.close()
    this.state.enter('half-closed')
    this.progress()
  }

  /** Nothing more comes or is waited for. A DISCONNECT that is held keeps the will from firing. */
  #finish(): void {
    if (this.#isDeaf) return this.#closeWith(undefined)
    this.#isDeaf = true
    this.#hasLeft = this.#reader.holdsDisconnect()
    // aedes closes the connection when it has read what it was given.
    this.#client?.finish(this.#hasLeft)
  }

  #onGone(): void {
    this.#closeWith(undefined)
    if (this.state.phase !== 'ended') void Promise.resolve(this.#givenBack).then(this.#resolveEnded)
    this.state.enter('ended')
    this.#resolveGone()
  }

  #endClient(client: Client): Promise<void> {
    const gone = new Promise<void>((resolve) => (this.#resolveGone = resolve))
    return client.end(endReasonOf(this.#closedFor, this.#hasLeft), gone)
  }
}
