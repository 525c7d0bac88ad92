import type { Duplex } from 'node:stream'
import type { Principal } from '../../shared/registry/port.ts'
import { AedesEnd, type AedesEndOwner } from './aedes-end.ts'
import { encodeConnect, parseConnect } from './connect-packet.ts'
import { Lifetime } from './deadlines.ts'
import type { FrameReader } from './frames.ts'
import type { GateContext } from './gate-context.ts'
import { Intake, type PacketTaker } from './intake.ts'
import { Lanes, type Blocked, type LaneOwner } from './lanes.ts'
import { admit, connectLetter, type Admitted, type Replaceable } from './login.ts'
import type { Origin } from './origin.ts'
import { Outlet } from './outlet.ts'
import { connack, Refused, Type, Violation } from './packets.ts'
import type { AedesClient } from './sessions.ts'

/** Why the next packet waits: a lane's reason, the login, answers that the client does not take, or no more is taken. */
type Reason = Blocked | 'login' | 'socket' | 'deaf'

/**
 * One connection: the gate between a socket and aedes. It reads packets, lets in who may, and gives each packet to its
 * lane; what a lane cannot take yet it holds, and stops reading the socket. It owns the client's keepalive, because
 * time in which we do not read does not count. The states are those of deadlines.ts.
 */
export class Gate implements AedesEndOwner, LaneOwner, Replaceable, PacketTaker<Reason> {
  /** Resolves when the connection is gone for good. */
  readonly ended: Promise<void>
  readonly #socket: Duplex
  readonly #context: GateContext
  readonly #intake: Intake
  readonly #outlet: Outlet
  readonly #end: AedesEnd
  readonly #origin: Origin
  readonly #life: Lifetime
  #admitted: Admitted | undefined
  #client: AedesClient | undefined
  #lanes: Lanes | undefined
  #blocked: Reason | undefined
  /** Packets are being taken: what they cause must not take packets itself. */
  #isTaking = false
  /** Nothing more is taken: the client has left, or the broker closes. */
  #isDeaf = false
  #hasInputEnded = false
  /** aedes has run the last steps of the client. */
  #forgotten: Promise<void> = Promise.resolve()
  #resolveEnded: () => void = () => undefined

  constructor(socket: Duplex, origin: Origin, context: GateContext) {
    this.#socket = socket
    this.#context = context
    this.#life = new Lifetime(context.time)
    this.#origin = origin
    this.#intake = new Intake(socket, context.capacity, context.output)
    this.#outlet = new Outlet(socket, context.output)
    this.#end = new AedesEnd(this)
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve))
    socket.on('data', (chunk: Buffer) => this.#onData(chunk)).on('end', () => this.#onEnd())
    socket.on('drain', () => this.progress())
    socket.on('error', (error) => context.logger.debug({ reason: error.message }, 'socket error'))
    socket.on('close', () => this.#onClose())
  }

  get isClosed(): boolean {
    return this.#life.isClosed
  }

  get principal(): Principal {
    if (this.#admitted === undefined) throw new Error('nobody has logged in')
    return this.#admitted.principal
  }

  /** Who it is, once somebody has logged in. */
  get who(): string | undefined {
    return this.#admitted?.principal.name
  }

  get unsentBytes(): number {
    return this.#outlet.unsentBytes + this.#end.writableLength
  }

  /** Called every second. */
  tick(): void {
    const life = this.#life
    // Time in which we do not read is not the client's silence.
    if (life.state === 'open' && this.#blocked !== undefined) life.heard()
    if (!life.isOverdue) return
    if (life.state === 'closing') return void this.#socket.destroy()
    if (life.state === 'half-closed') return this.#finish()
    if (life.state === 'open') this.#context.tally.keepaliveTimeouts += 1
    this.close(life.state === 'admitting' ? connack(3) : undefined)
  }

  /** Reads nothing more; what was taken is still acknowledged. For the shutdown. */
  stopReading(): void {
    this.#isDeaf = true
    this.#blocked ??= 'deaf'
    this.#socket.pause()
  }

  /** Closes the connection, with a last answer or without a word; the will fires unless the client has left. */
  close(answer?: Buffer): void {
    if (this.isClosed) return
    this.#life.enter('closing')
    this.#context.capacity.forget(this)
    this.#intake.drop()
    if (answer !== undefined) this.#outlet.write(answer)
    this.#lanes?.close()
    this.#forgotten = new Promise((resolve) => (this.#client === undefined ? resolve() : this.#client.close(resolve)))
    this.#end.destroy()
    // Read on, so that the end of the other side is seen.
    this.#socket.resume()
    this.#outlet.end()
  }

  /** Something that a packet may have waited for has come. */
  progress(): void {
    if (this.#isTaking) return
    if (this.#blocked === undefined && this.#life.state === 'open') this.#outlet.flush()
    else this.#take()
  }

  ready(): void {
    if (this.#life.state !== 'admitting') return
    this.#life.enter(this.#hasInputEnded ? 'half-closed' : 'open')
    this.#take()
  }

  packetsFromAedes(bytes: Buffer, types: readonly number[], taken: () => void): void {
    this.#outlet.forward(bytes, taken)
    this.#lanes?.aedes.wrote(types)
    if (this.#blocked === 'lane' || this.#blocked === 'client') this.progress()
  }

  aedesWantsMore(): void {
    if (this.#blocked === 'aedes') this.progress()
  }

  aedesClosed(error: Error | null): void {
    if (error !== null) this.#context.logger.debug({ who: this.who, reason: error.message }, 'closed by the broker')
    this.close()
  }

  subscribed(filter: string): void {
    this.#lanes?.aedes.subscribed(filter)
  }

  obstacle(): Reason | undefined {
    if (this.#isDeaf || this.isClosed) return 'deaf'
    if (this.#life.state === 'admitting') return 'login'
    return this.#outlet.isClogged ? 'socket' : undefined
  }

  takePacket(frame: FrameReader): Blocked | undefined {
    const type = frame.header >> 4
    if (this.#lanes === undefined) {
      if (type !== Type.connect) throw new Violation('the first packet is not CONNECT [MQTT-3.1.0-1]')
      return void this.#connect(frame)
    }
    const blocked = this.#lanes.take(frame)
    if (type === Type.disconnect && blocked === undefined) this.#isDeaf = true
    return blocked
  }

  takeOversized(frame: FrameReader): Blocked | undefined {
    return this.#lanes?.takeOversized(frame)
  }

  #onData(chunk: Buffer): void {
    if (this.isClosed) return
    this.#life.heard()
    this.#intake.reader.feed(chunk)
    this.#take()
  }

  /** Takes packets until there are none, or one has to wait. */
  #take(): void {
    if (this.#isTaking || this.isClosed) return
    this.#isTaking = true
    try {
      this.#blocked = this.#intake.takeAll(this)
    } catch (error) {
      this.#turnAway(error)
    } finally {
      this.#isTaking = false
    }
    this.#outlet.flush()
    if (this.isClosed) return
    if (this.#blocked === 'node') this.#context.capacity.wait(this)
    if (this.#blocked !== undefined) {
      this.#intake.hold(this.#life.state === 'open')
      return this.#outlet.flush()
    }
    if (this.#intake.unhold()) this.#life.heard()
    if (this.#life.state === 'half-closed' && this.#lanes?.isIdle === true) this.#finish()
  }

  async #connect(frame: FrameReader): Promise<void> {
    try {
      const packet = parseConnect(frame)
      this.#life.enter('admitting')
      const admitted = await admit(this.#context, this, packet, this.#origin)
      if (admitted === undefined) return
      this.#admitted = admitted
      this.#life.keepalive = packet.keepalive
      this.#intake.widen(this.#context.settings.MAX_PACKET_BYTES)
      this.#lanes = new Lanes(this.#context, this, this.#end)
      this.#client = this.#context.sessions.open(this.#end)
      this.#end.deliver(encodeConnect(admitted.clientId, packet))
    } catch (error) {
      this.#turnAway(error)
    }
  }

  #turnAway(error: unknown): void {
    this.#outlet.flush()
    if (!(error instanceof Refused)) {
      this.#context.logger.error({ err: error, who: this.who }, 'a connection failed')
      return this.close(this.#life.state === 'admitting' ? connack(3) : undefined)
    }
    const who = error.who || (this.who ?? this.#origin.remoteAddress)
    this.#context.refusals.record(connectLetter(this.#context.clock, error.code, error.message, who))
    this.close(error.answer)
  }

  /** The client has closed its side: what it sent before is taken and answered, for a while. */
  #onEnd(): void {
    this.#hasInputEnded = true
    if (this.#life.state === 'admitting') return
    if (this.#life.state !== 'open') return this.close()
    this.#life.enter('half-closed')
    this.progress()
  }

  /** Nothing more comes or is waited for. A DISCONNECT that is held keeps the will from firing. */
  #finish(): void {
    if (this.#isDeaf) return this.close()
    this.#isDeaf = true
    if (this.#intake.holdsDisconnect()) this.#end.deliver(Buffer.from([Type.disconnect << 4, 0]))
    // aedes closes the connection when it has read what it was given.
    else this.#end.push(null)
  }

  #onClose(): void {
    this.close()
    this.#life.enter('ended')
    void this.#forgotten.then(() => {
      this.#admitted?.release()
      this.#resolveEnded()
    })
  }
}
