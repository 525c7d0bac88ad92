import type { Socket } from 'node:net'
import type { BrokerSettings } from '../../config/broker.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import type { Logger } from '../../shared/logger.ts'
import type { Principal } from '../../shared/registry/port.ts'
import { AedesEnd, type AedesEndOwner } from './aedes-end.ts'
import { ConnectRefused, encodeConnect, parseConnect, type ConnectPacket } from './connect-packet.ts'
import { FrameReader, Peeked } from './frames.ts'
import { Lanes, type Blocked, type LaneContext, type LaneOwner } from './lanes.ts'
import { admit, type Admitted, type LoginContext, type Replaceable } from './login.ts'
import { connack, Type, Violation } from './packets.ts'
import type { AedesClient, Sessions } from './sessions.ts'

export interface GateContext extends LaneContext, LoginContext {
  readonly settings: BrokerSettings
  readonly sessions: Sessions
  readonly logger: Logger
  readonly authorizer: LaneContext['authorizer'] & LoginContext['authorizer']
  /** Coarse time: grows by one per second. */
  readonly time: { seconds: number }
  /** The connection is gone for good. */
  readonly onEnded: (gate: Gate) => void
}

/** Before CONNECT nobody is known, and no CONNECT of a device is near this long. */
const MAX_CONNECT_BYTES = 4096
/** A held connection reads on until it holds this much, so that a PINGREQ in it is found and answered. */
const READ_AHEAD_BYTES = 8 * 1024
/** From the first byte to CONNACK. */
const CONNECT_SECONDS = 10
/** For the last answers to be taken before the socket is destroyed. */
const LINGER_SECONDS = 5
/** Kept of a PUBLISH that is too long: topic, packet id and the beginning of the payload. */
const KEPT_OF_LONG_BYTES = 8 * 1024
/** A client that does not take its answers is not read. */
const MAX_UNSENT_BYTES = 256 * 1024
/** aedes is told to wait earlier, so that what it delivers never stops the reading of acknowledgements. */
const AEDES_UNSENT_BYTES = 64 * 1024
/** A client that closed its side gets its outstanding answers for so long. */
const HALF_CLOSED_SECONDS = 2

/**
 *   connecting --CONNECT--> admitting --login, CONNACK--> open --> closing --> ended
 *        \______________________\______________________________/
 */
/** Why the next packet waits; beside a lane's reasons, for the login, for the client to take its answers, or for ever. */
type Reason = Blocked | 'login' | 'socket' | 'deaf'

type State = 'connecting' | 'admitting' | 'open' | 'closing' | 'ended'

/**
 * One connection: the gate between a socket and aedes. It reads packets, lets in who may, and gives each packet to its
 * lane; what a lane cannot take yet it holds, and stops reading the socket. It owns the client's keepalive, because
 * time in which we do not read does not count.
 */
export class Gate implements AedesEndOwner, LaneOwner, Replaceable {
  readonly ended: Promise<void>
  readonly #socket: Socket
  readonly #context: GateContext
  readonly #reader = new FrameReader(MAX_CONNECT_BYTES)
  readonly #end: AedesEnd
  #state: State = 'connecting'
  #admitted: Admitted | undefined
  #client: AedesClient | undefined
  #lanes: Lanes | undefined
  #blocked: Reason | undefined
  /** Packets are being taken: what they cause must not take packets itself. */
  #isTaking = false
  /** Nothing more is taken: the client has sent DISCONNECT, or the broker closes. */
  #isDeaf = false
  /** The client has closed its side; what it sent before is still taken. */
  #isHalfClosed = false
  /** PINGREQs in what is held, already answered. */
  #answeredAhead = 0
  #heldBytes = 0
  /** When the client was heard last, or the state changed, in seconds of `context.time`. */
  #heardAt: number
  #keepaliveSeconds = 0
  readonly #remoteAddress: string
  #resolveEnded: () => void = () => undefined

  constructor(socket: Socket, context: GateContext) {
    this.#socket = socket
    this.#context = context
    this.#heardAt = context.time.seconds
    this.#remoteAddress = socket.remoteAddress ?? ''
    this.#end = new AedesEnd(this)
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve))
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('end', () => this.#onEnd())
    socket.on('drain', () => this.progress())
    socket.on('error', (error) => context.logger.debug({ reason: error.message }, 'socket error'))
    socket.on('close', () => this.#onClose())
  }

  get isClosed(): boolean {
    return this.#state === 'closing' || this.#state === 'ended'
  }

  get principal(): Principal {
    if (this.#admitted === undefined) throw new Error('nobody has logged in')
    return this.#admitted.principal
  }

  get unsentBytes(): number {
    return this.#socket.writableLength + this.#end.writableLength
  }

  /** Who it is, once somebody has logged in. */
  get who(): string | undefined {
    return this.#admitted?.principal.name
  }

  /** Called every second. */
  tick(): void {
    const idle = this.#context.time.seconds - this.#heardAt
    switch (this.#state) {
      case 'connecting':
      case 'admitting':
        if (idle >= CONNECT_SECONDS) this.#close(this.#state === 'admitting' ? connack(3) : undefined)
        break
      case 'open':
        if (this.#isHalfClosed) {
          if (idle >= HALF_CLOSED_SECONDS) this.#finish()
        } else if (this.#blocked !== undefined) this.#heardAt = this.#context.time.seconds
        // One and a half times the keepalive [MQTT-3.1.2-24], and a second because the clock is coarse.
        else if (this.#keepaliveSeconds > 0 && idle > this.#keepaliveSeconds * 1.5 + 1) {
          this.#context.tally.keepaliveTimeouts += 1
          this.close()
        }
        break
      case 'closing':
        if (idle >= LINGER_SECONDS) this.#socket.destroy()
        break
      case 'ended':
        break
    }
  }

  /** Reads nothing more; what was taken is still acknowledged. For the shutdown. */
  stopReading(): void {
    this.#isDeaf = true
    this.#blocked ??= 'deaf'
    this.#socket.pause()
  }

  /** Closes the connection as the specification says: without a word, and the will fires. */
  close(): void {
    this.#close(undefined)
  }

  /** There is room in the node again. */
  resume(): void {
    this.#take()
  }

  progress(): void {
    if (this.#isTaking) return
    if (this.#blocked === undefined && !this.#isHalfClosed) this.#flush()
    else this.#take()
  }

  ready(): void {
    if (this.isClosed) return
    this.#setState('open')
    this.#reader.limit = this.#context.settings.MAX_PACKET_BYTES
    this.#take()
  }

  packetsFromAedes(bytes: Buffer, types: readonly number[], taken: () => void): void {
    if (!this.#socket.writable) return taken()
    // aedes waits only for a socket that is really behind: each wait costs it a timer.
    const isBehind = this.#socket.writableLength > AEDES_UNSENT_BYTES
    this.#socket.write(bytes, isBehind ? () => taken() : undefined)
    if (!isBehind) taken()
    this.#lanes?.wroteByAedes(types)
    if (this.#blocked === 'lane' || this.#blocked === 'client') this.progress()
  }

  aedesWantsMore(): void {
    if (this.#blocked === 'aedes') this.progress()
  }

  aedesClosed(error: Error | null): void {
    if (error !== null) this.#context.logger.debug({ who: this.who, reason: error.message }, 'closed by the broker')
    this.#close(undefined)
  }

  subscribed(filter: string): void {
    this.#lanes?.subscribed(filter)
  }

  #setState(state: State): void {
    this.#state = state
    this.#heardAt = this.#context.time.seconds
  }

  #onData(chunk: Buffer): void {
    if (this.isClosed) return
    this.#heardAt = this.#context.time.seconds
    this.#reader.feed(chunk)
    if (this.#blocked === undefined) this.#take()
    else this.#hold()
  }

  /** Takes packets until there are none, or one has to wait. */
  #take(): void {
    if (this.#isTaking || this.isClosed) return
    this.#isTaking = true
    try {
      this.#blocked = this.#takeAll()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      this.#flush()
      this.#refuse('protocol_violation', error.message, this.who ?? this.#remoteAddress, undefined)
    } finally {
      this.#isTaking = false
    }
    this.#flush()
    if (this.isClosed) return
    if (this.#blocked === 'node') this.#context.capacity.wait(this)
    if (this.#blocked !== undefined) this.#hold()
    else this.#unhold()
  }

  #takeAll(): Reason | undefined {
    const reader = this.#reader
    while (!this.isClosed) {
      if (this.#isDeaf) return 'deaf'
      if (this.#state === 'admitting') return 'login'
      if (this.#socket.writableLength > MAX_UNSENT_BYTES) return 'socket'
      let blocked: Blocked | undefined
      switch (reader.peek()) {
        case Peeked.more:
          return undefined
        case Peeked.frame:
          blocked = this.#takeFrame()
          break
        case Peeked.skipped:
          blocked = this.#lanes?.takeOversized(reader)
          break
        case Peeked.long:
          if (reader.header >> 4 !== Type.publish || this.#state !== 'open') {
            throw new Violation(`a packet of ${reader.total} bytes`)
          }
          reader.skip(KEPT_OF_LONG_BYTES)
          continue
        case Peeked.malformed:
          throw new Violation('the remaining length has more than four bytes [MQTT-2.2.3]')
      }
      if (blocked !== undefined) return blocked
      reader.consume()
    }
    return undefined
  }

  #takeFrame(): Blocked | undefined {
    const reader = this.#reader
    if (this.#lanes === undefined) {
      if (reader.header >> 4 !== Type.connect) throw new Violation('the first packet is not CONNECT [MQTT-3.1.0-1]')
      this.#connect()
      return undefined
    }
    if (this.#answeredAhead > 0 && reader.header >> 4 === Type.pingreq) {
      this.#answeredAhead -= 1
      return undefined
    }
    const blocked = this.#lanes.take(reader)
    if (blocked === undefined && reader.header >> 4 === Type.disconnect) this.#isDeaf = true
    return blocked
  }

  #connect(): void {
    try {
      const packet = parseConnect(this.#reader)
      this.#setState('admitting')
      void this.#admit(packet)
    } catch (error) {
      if (!(error instanceof ConnectRefused)) throw error
      this.#refuse(error.code, error.message, error.who, error.answer)
    }
  }

  async #admit(packet: ConnectPacket): Promise<void> {
    try {
      const admitted = await admit(this.#context, this, packet, this.#remoteAddress)
      if (admitted === undefined) return
      this.#admitted = admitted
      this.#keepaliveSeconds = packet.keepalive
      this.#lanes = new Lanes(this.#context, this, this.#end)
      this.#client = this.#context.sessions.open(this.#end)
      this.#end.deliver(encodeConnect(admitted.clientId, packet))
    } catch (error) {
      if (error instanceof ConnectRefused) {
        this.#refuse(error.code, error.message, error.who, error.answer)
      } else {
        this.#context.logger.error({ err: error }, 'a client could not be let in')
        this.#close(connack(3))
      }
    }
  }

  #refuse(code: ErrorCode, detail: string, who: string, answer: Buffer | undefined): void {
    const { ms, ns } = this.#context.clock.nextStamp(1)
    const name = who === '' ? this.#remoteAddress : who
    const at = { ms, ns, firstFailedMs: ms, attempts: 1, source: undefined }
    const letter = { stage: 'connect' as const, code, detail, who: name, topic: undefined, key: name }
    this.#context.refusals.record({ ...letter, ...at, payload: new Uint8Array(0) })
    this.#close(answer)
  }

  /** A packet has to wait: answers the PINGREQs behind it and stops reading when enough is held. */
  #hold(): void {
    const reader = this.#reader
    reader.compact()
    if (this.#state === 'open') {
      let pings = 0
      reader.scan((header) => (pings += header === 0xc0 ? 1 : 0))
      for (; this.#answeredAhead < pings; this.#answeredAhead += 1) this.#context.output.empty(0xd0)
      this.#flush()
    }
    const { capacity } = this.#context
    capacity.heldBytes += reader.heldBytes - this.#heldBytes
    this.#heldBytes = reader.heldBytes
    if (this.#state !== 'open' || reader.heldBytes >= READ_AHEAD_BYTES || capacity.holdsTooMuch) this.#socket.pause()
  }

  #unhold(): void {
    this.#context.capacity.heldBytes -= this.#heldBytes
    this.#heldBytes = 0
    if (this.#socket.isPaused()) {
      this.#heardAt = this.#context.time.seconds
      this.#socket.resume()
    }
    if (this.#isHalfClosed && this.#lanes?.isIdle !== false) this.#finish()
  }

  #flush(): void {
    const { output } = this.#context
    if (output.isEmpty) return
    const bytes = output.take()
    if (this.#socket.writable) this.#socket.write(bytes)
  }

  #onEnd(): void {
    this.#isHalfClosed = true
    this.#heardAt = this.#context.time.seconds
    this.progress()
  }

  /** Nothing more comes, and nothing more is waited for. A DISCONNECT that is held keeps the will from firing. */
  #finish(): void {
    let hasLeft = false
    this.#reader.scan((header) => (hasLeft ||= header === 0xe0))
    if (hasLeft && this.#state === 'open') this.#end.deliver(Buffer.from([0xe0, 0]))
    else this.#close(undefined)
  }

  #close(answer: Buffer | undefined): void {
    if (this.isClosed) return
    this.#setState('closing')
    this.#context.capacity.forget(this)
    this.#context.capacity.heldBytes -= this.#heldBytes
    this.#heldBytes = 0
    if (answer !== undefined && this.#socket.writable) this.#socket.write(answer)
    this.#lanes?.close()
    this.#end.destroy()
    // Resumed, so that the end of the other side is seen.
    this.#socket.resume()
    this.#socket.destroySoon()
  }

  #onClose(): void {
    this.#close(undefined)
    this.#setState('ended')
    this.#whenForgotten()
  }

  /** aedes runs the last steps of a closed client over a few turns of the event loop, and has no event for their end. */
  readonly #whenForgotten = (): void => {
    const client = this.#client
    if (client !== undefined && (!client.closed || client.connected || client.connecting)) {
      setImmediate(this.#whenForgotten)
      return
    }
    this.#admitted?.release()
    this.#resolveEnded()
    this.#context.onEnded(this)
  }
}
