import type { Duplex } from 'node:stream'
import type { PacketOutput } from '../mqtt/packet-buffer.ts'
import type { Backpressure } from '../telemetry/backpressure.ts'
import { FrameReader, Peeked } from '../mqtt/frame-reader.ts'
import { Reason } from '../mqtt/v5/reason.ts'
import { Type, Violation } from '../mqtt/packets.ts'

/** A held connection reads on until it holds this much, so that a PINGREQ in it is found and answered. */
const READ_AHEAD_BYTES = 8 * 1024

const PINGREQ = 0xc0
const PINGRESP = 0xd0
const DISCONNECT = 0xe0

/** Before CONNECT the client is unknown, and no CONNECT of a device is near this long. */
const MAX_CONNECT_BYTES = 4096
/** Kept of a PUBLISH that is too long: topic, packet id and the beginning of the payload. */
const KEPT_OF_LONG_BYTES = 8 * 1024

/** Who gets the packets. `R` says why one has to wait. Methods may throw {@link Violation}. */
export interface PacketTaker<R> {
  /** Why not even the next packet may be looked at. */
  obstacle(): R | undefined
  takePacket(frame: FrameReader): R | undefined
  /** The beginning of a PUBLISH that was too long is in `frame.kept`. */
  takeOversized(frame: FrameReader): R | undefined
}

/** What has come from one socket and is not taken yet, and whether the socket is read. */
export class SocketReader {
  readonly frames: FrameReader
  readonly #socket: Duplex
  readonly #backpressure: Backpressure
  readonly #output: PacketOutput
  /** PINGREQs among what is held, already answered. */
  #answeredAhead = 0
  /** As counted in the backpressure. */
  #heldBytes = 0

  /** A PUBLISH that is too long may pass. */
  #letsLongPass = false

  constructor(socket: Duplex, backpressure: Backpressure, output: PacketOutput) {
    this.#socket = socket
    this.#backpressure = backpressure
    this.#output = output
    this.frames = new FrameReader(MAX_CONNECT_BYTES)
  }

  /** The client has logged in: packets may have up to `limit` bytes, and a PUBLISH beyond it passes without being held. */
  widen(limit: number): void {
    this.frames.limit = limit
    this.#letsLongPass = true
  }

  /** Hands out packets until there are none (undefined), or one has to wait. Throws {@link Violation}. */
  takeAll<R>(taker: PacketTaker<R>): R | undefined {
    const { frames } = this
    for (;;) {
      const obstacle = taker.obstacle()
      if (obstacle !== undefined) return obstacle
      let blocked: R | undefined
      switch (frames.peek()) {
        case Peeked.more:
          return undefined
        case Peeked.frame:
          if (!this.#isAnswered()) blocked = taker.takePacket(frames)
          break
        case Peeked.skipped:
          blocked = taker.takeOversized(frames)
          break
        case Peeked.long:
          if (frames.header >> 4 !== Type.publish || !this.#letsLongPass) {
            throw new Violation(`a packet of ${frames.total} bytes`, Reason.tooLarge)
          }
          frames.skip(KEPT_OF_LONG_BYTES)
          continue
        case Peeked.malformed:
          throw new Violation('the remaining length has more than four bytes [MQTT-2.2.3]')
      }
      if (blocked !== undefined) return blocked
      frames.consume()
    }
  }

  /**
   * A packet has to wait. Answers the PINGREQs after it (`answerPings`), because a client that waits for its
   * acknowledgements must not give the connection up, and stops reading when enough is held.
   */
  hold(answerPings: boolean): void {
    const { frames } = this
    frames.compact()
    if (answerPings) {
      let pings = 0
      frames.scan((header) => (pings += header === PINGREQ ? 1 : 0))
      for (; this.#answeredAhead < pings; this.#answeredAhead += 1) this.#output.empty(PINGRESP)
    }
    this.#count(frames.heldBytes)
    if (!answerPings || frames.heldBytes >= READ_AHEAD_BYTES || this.#backpressure.holdsTooMuch) this.#socket.pause()
  }

  /** Nothing waits any more. True when the socket was not read before. */
  unhold(): boolean {
    this.#count(0)
    if (!this.#socket.isPaused()) return false
    this.#socket.resume()
    return true
  }

  /** A DISCONNECT that wants no will is among what is held: one without reason, or with reason 0. */
  holdsDisconnect(): boolean {
    let found = false
    this.frames.scan((header, reason) => (found ||= header === DISCONNECT && reason === 0))
    return found
  }

  /** The connection closes: what is held is given up. */
  drop(): void {
    this.#count(0)
  }

  /** True for a PINGREQ that was answered while it was held. */
  #isAnswered(): boolean {
    if (this.#answeredAhead === 0 || this.frames.header !== PINGREQ) return false
    this.#answeredAhead -= 1
    return true
  }

  #count(bytes: number): void {
    this.#backpressure.heldBytes += bytes - this.#heldBytes
    this.#heldBytes = bytes
  }
}
