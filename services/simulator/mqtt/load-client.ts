import { connect, type Socket } from 'node:net'
import { InflightWindow, STAGE } from './inflight-window.ts'
import {
  connectPacket,
  DISCONNECT,
  DUP_FLAG,
  PACKET,
  PINGREQ,
  type Login,
  type QoS,
} from '../../../shared/mqtt/client-packets.ts'
import { encodeText } from '../../../shared/mqtt/encoding.ts'
import type { LoadEvents } from './load-events.ts'
import { Outbox } from './outbox.ts'
import { PacketReader } from './packet-reader.ts'

/** What all clients of a process may read into: what was read is used up before the next one reads. */
export function createReadBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(65_536)
}

export interface LoadClientOptions {
  readonly device: number
  readonly host: string
  readonly port: number
  readonly login: Login
  readonly topic: string
  readonly qos: QoS
  /** Messages in flight, 1 to 65,535; without meaning at QoS 0. */
  readonly inflight: number
  /** One character per byte; asked again when a message is sent again. */
  readonly payload: (device: number, sequence: number) => string
  readonly events: LoadEvents
  readonly readBuffer: Buffer
}

type State = 'offline' | 'connecting' | 'online' | 'closed'

/** At QoS 0 nothing but the socket holds a client back: it pauses at this many unsent bytes. */
const QOS0_BUFFER_BYTES = 65_536
/** The outbox takes a whole window of packets of this size in one write; larger ones make it flush earlier. */
const USUAL_PACKET_BYTES = 160

/**
 * A publishing device at byte level: no object per message, all packets that are due in one write. Messages have the
 * sequence numbers 0, 1, 2 ...; `allow` raises how many may be sent. What is not acknowledged when a connection goes is
 * sent again, in order and marked DUP, on the next one.
 *
 *   offline -> connecting -> online -> offline ... ; any of them -> closed
 */
export class MqttLoadClient {
  readonly #options: LoadClientOptions
  readonly #window: InflightWindow
  readonly #topic: Buffer
  readonly #reader: PacketReader
  readonly #outbox: Outbox
  readonly #closed = Promise.withResolvers<void>()
  #socket: Socket | undefined
  #state: State = 'offline'
  #next = 0
  #allowed = 0
  #refusal: number | undefined
  #detail = ''
  #pingSentAt: number | undefined

  constructor(options: LoadClientOptions) {
    this.#options = options
    this.#window = new InflightWindow(options.qos === 0 ? 1 : options.inflight)
    this.#topic = encodeText(options.topic)
    this.#outbox = new Outbox(options.qos === 0 ? QOS0_BUFFER_BYTES : options.inflight * USUAL_PACKET_BYTES)
    this.#reader = new PacketReader({
      packet: (type, first, second) => this.#onPacket(type, first, second),
      pong: () => (this.#pingSentAt = undefined),
      unexpected: (detail) => this.#fail(`the broker sent ${detail}`),
    })
  }

  get state(): State {
    return this.#state
  }

  /** Messages sent and not finished (QoS 2: until PUBCOMP). */
  get open(): number {
    return this.#window.open
  }

  /** Sequence number of the next first copy. */
  get next(): number {
    return this.#next
  }

  connect(): void {
    if (this.#state !== 'offline') return
    const { host, port, login, readBuffer } = this.#options
    this.#state = 'connecting'
    this.#reader.reset()
    this.#outbox.discard()
    this.#refusal = undefined
    this.#detail = 'the broker closed the connection'
    const onread = { buffer: readBuffer, callback: (length: number, bytes: Uint8Array) => this.#onBytes(bytes, length) }
    const socket = connect({ host, port, noDelay: true, onread })
    this.#socket = socket
    socket.on('connect', () => socket.write(connectPacket(login)))
    socket.on('drain', () => this.#pump(socket))
    socket.on('error', (error) => (this.#detail = error.message))
    socket.on('close', () => this.#onClose(socket))
  }

  /** Messages with sequence numbers below `count` may be sent. Sends what can be sent now. */
  allow(count: number): void {
    this.#allowed = count
    if (this.#socket !== undefined) this.#pump(this.#socket)
  }

  /** Sends a PINGREQ when nothing was written for `idleMs`, and gives up a connection that left one unanswered as long. */
  keepAlive(now: number, idleMs: number): void {
    const socket = this.#socket
    if (this.#state !== 'online' || socket === undefined) return
    if (this.#pingSentAt !== undefined && now - this.#pingSentAt > idleMs) return this.#fail('no PINGRESP')
    if (this.#pingSentAt !== undefined || now - this.#outbox.flushedAt < idleMs) return
    this.#pingSentAt = now
    this.#outbox.raw(socket, PINGREQ)
    this.#outbox.flush(socket)
  }

  /** Says goodbye; nothing is sent or reported from here on. Resolves when the socket is closed. */
  close(): Promise<void> {
    const wasOnline = this.#state === 'online'
    this.#state = 'closed'
    if (this.#socket === undefined) this.#closed.resolve()
    else if (wasOnline) this.#socket.end(DISCONNECT)
    else this.#socket.destroy()
    return this.#closed.promise
  }

  /** Drops the connection without a goodbye, for a broker that does not answer one. */
  destroy(): void {
    this.#socket?.destroy()
  }

  #onBytes(bytes: Uint8Array, length: number): boolean {
    const socket = this.#socket
    if (socket === undefined || this.#state === 'closed') return true
    this.#reader.read(bytes, length)
    this.#pump(socket)
    return true
  }

  #onPacket(type: number, first: number, second: number): void {
    const socket = this.#socket
    if (socket === undefined || socket.destroyed) return
    if (type === PACKET.connack) return this.#onConnack(socket, second)
    const id = (first << 8) | second
    const stage = this.#window.stage(id)
    const isAck = type === (this.#options.qos === 2 ? PACKET.pubrec : PACKET.puback)
    if (isAck && stage === STAGE.awaitingAck) {
      const { device, events } = this.#options
      events.acknowledged(device, this.#window.sequence(id), this.#window.sentAt(id), performance.now())
      if (type === PACKET.puback) return this.#window.release(id)
      this.#window.awaitComplete(id)
      this.#outbox.reply(socket, PACKET.pubrel, id)
    } else if (type === PACKET.pubrec && stage === STAGE.awaitingComplete) {
      this.#outbox.reply(socket, PACKET.pubrel, id)
    } else if (type === PACKET.pubcomp && stage === STAGE.awaitingComplete) {
      this.#window.release(id)
    } else {
      this.#fail(`the broker answered message ${id} with packet type ${type >> 4}, which was not expected`)
    }
  }

  #onConnack(socket: Socket, code: number): void {
    if (this.#state !== 'connecting') return this.#fail('the broker sent a second CONNACK')
    if (code !== 0) {
      this.#refusal = code
      return this.#fail(`the broker refused the connection with CONNACK code ${code}`)
    }
    this.#state = 'online'
    this.#pingSentAt = undefined
    this.#resend(socket)
    this.#options.events.connected(this.#options.device)
  }

  /** [MQTT-4.4.0-1], [MQTT-3.3.1-1]: unfinished messages again, in their order, with DUP set. */
  #resend(socket: Socket): void {
    const { device, qos, payload, events } = this.#options
    const topic = this.#topic
    for (const id of this.#window.unfinished()) {
      if (this.#window.stage(id) === STAGE.awaitingComplete) {
        this.#outbox.reply(socket, PACKET.pubrel, id)
        continue
      }
      const body = payload(device, this.#window.sequence(id))
      this.#outbox.publish(socket, { flags: DUP_FLAG | (qos << 1), topic, id, payload: body })
      events.resent(device)
    }
  }

  /** Sends the first copies that are due and fit, and all that waits, in one write. */
  #pump(socket: Socket): void {
    if (this.#state !== 'online' || socket.destroyed) return
    const { device, qos, payload, events } = this.#options
    const topic = this.#topic
    const now = performance.now()
    while (this.#next < this.#allowed && this.#mayWrite(socket)) {
      const sequence = this.#next
      events.sent(device, sequence)
      this.#next = sequence + 1
      const id = qos === 0 ? 0 : this.#window.take(sequence, now)
      this.#outbox.publish(socket, { flags: qos << 1, topic, id, payload: payload(device, sequence) })
    }
    this.#outbox.flush(socket)
  }

  #mayWrite(socket: Socket): boolean {
    if (this.#options.qos > 0) return this.#window.hasRoom
    return this.#outbox.pending + socket.writableLength < QOS0_BUFFER_BYTES
  }

  #fail(detail: string): void {
    this.#detail = detail
    this.#socket?.destroy(new Error(detail))
  }

  #onClose(socket: Socket): void {
    socket.removeAllListeners()
    this.#socket = undefined
    if (this.#state === 'closed') return this.#closed.resolve()
    const wasOnline = this.#state === 'online'
    this.#state = 'offline'
    const reason = { detail: this.#detail, refusal: this.#refusal, wasOnline }
    this.#options.events.disconnected(this.#options.device, reason)
  }
}
