import { Duplex } from 'node:stream'
import type { Principal } from '../../../shared/registry/port.ts'
import { FrameReader, Peeked } from '../mqtt/frame-reader.ts'
import type { MessageProperties } from '../../../shared/mqtt/message-properties.ts'
import { bodyOf, Type } from '../mqtt/packets.ts'
import type { RequestedFilter } from '../mqtt/subscribe.ts'

/** A whole packet that aedes wrote. */
export interface AedesPacket {
  readonly header: number
  /** The packet with its fixed header. */
  readonly bytes: Buffer
  /** Where the variable header begins in it. */
  readonly body: number
  /** The payload of a PUBLISH as aedes had it in its hands, when it was written as a piece of its own. */
  readonly payload: Buffer | undefined
}

/** What a packet for aedes says that MQTT 3.1.1 cannot; handed over together with it. */
export interface Mqtt5Extras {
  /** Of a PUBLISH, or of the will of a CONNECT. */
  readonly properties?: MessageProperties | undefined
  /** Of a SUBSCRIBE, as many as it has filters. */
  readonly filters?: readonly RequestedFilter[]
  /** Of an UNSUBSCRIBE: asked when aedes comes to it. */
  readonly unsubscribes?: (isSubscribed: (filter: string) => boolean) => void
}

/** The client whose packets the stream carries. */
export interface AedesStreamOwner {
  readonly principal: Principal
  /** Bytes that the client has not taken yet, in aedes' stream, held back, and in the socket. */
  readonly unsentBytes: number
  /** aedes may forward a message to the client, with properties of MQTT 5 or without; it comes as a packet later. */
  forwards(hasProperties: boolean): void
  /** Whole packets of aedes, alone and as they lie in `bytes`. `taken` is called when the client can take more. */
  packetsFromAedes(packets: readonly AedesPacket[], bytes: Buffer, taken: () => void): void
  /** A subscription was granted, or restored. */
  subscribed(filter: string): void
  /** The client may not become a member of one more group. */
  isOverQuota(share: string): void
  /** aedes knows no message of the PUBREL that it is about to answer. */
  releasesNothing(id: number): void
}

/** Its connection. */
export interface AedesStreamConnection {
  /** aedes finished the CONNECT: from now on it handles packets in their order. */
  ready(): void
  /** aedes has answered something, or can take more. */
  aedesMoved(): void
  /** aedes closed the connection; with an error when it was not the client who left. */
  aedesClosed(error: Error | null): void
}

/** Readable: packets queued for aedes before the connection stops reading. Writable: what one client may lag behind. */
const TO_AEDES_BYTES = 64 * 1024
const FROM_AEDES_BYTES = 256 * 1024

/** A packet that was given to aedes, and what belongs to it. */
interface ExpectedPacket {
  readonly extras: Mqtt5Extras
  readonly type: number
  /** The remaining length. */
  readonly length: number
}

type Taken = Mqtt5Extras | 'disordered' | undefined

/** What aedes' parser calls the packets that have extras. */
const NAMES: Readonly<Record<number, string>> = {
  [Type.connect]: 'connect',
  [Type.publish]: 'publish',
  [Type.subscribe]: 'subscribe',
  [Type.unsubscribe]: 'unsubscribe',
}

/** No packet of aedes is longer than the protocol allows. */
const NO_LIMIT = 2 ** 28 + 5

/**
 * What aedes takes for the socket of a client. It carries packets whole: aedes writes one packet in several pieces
 * between `cork` and `uncork`, so each `_writev` is whole packets, between which the broker may put its own. Should that
 * ever not hold, the connection is closed rather than its bytes mixed up. The other way, aedes reads the packets in the
 * order in which they were delivered, which `takeExtras` checks where it counts.
 */
export class AedesStream extends Duplex {
  readonly owner: AedesStreamOwner
  readonly connection: AedesStreamConnection
  /** False when aedes has enough queued: wait for `aedesMoved`. */
  wantsMore = true
  /** Packets given to aedes, and read by it. */
  #delivered = 0
  #read = 0
  #extras: Map<number, ExpectedPacket> | undefined

  constructor(owner: AedesStreamOwner, connection: AedesStreamConnection) {
    super({ readableHighWaterMark: TO_AEDES_BYTES, writableHighWaterMark: FROM_AEDES_BYTES, emitClose: true })
    this.owner = owner
    this.connection = connection
  }

  /** Gives aedes a whole packet; the bytes are its own from now on. */
  deliver(packet: Buffer, extras?: Mqtt5Extras): void {
    if (extras !== undefined) this.#extras ??= new Map()
    if (extras !== undefined)
      this.#extras?.set(this.#delivered, {
        extras,
        type: (packet[0] ?? 0) >> 4,
        length: packet.length - bodyOf(packet),
      })
    this.#delivered += 1
    this.wantsMore = this.push(packet)
  }

  /**
   * What belongs to the packet that aedes has just read: to be asked once for each, in their order. "disordered" when
   * aedes has read another packet than the one that was given to it in this place.
   */
  takeExtras({ cmd, length }: { readonly cmd: string; readonly length?: number }): Taken {
    const place = this.#read
    this.#read += 1
    if (place >= this.#delivered) return 'disordered'
    const expected = this.#extras?.get(place)
    if (expected === undefined) return undefined
    this.#extras?.delete(place)
    const isExpected = NAMES[expected.type] === cmd && expected.length === length
    return isExpected ? expected.extras : 'disordered'
  }

  /**
   * All that is queued, not just the first packet: aedes reads again from within its parser, which loses its place when
   * there is still something to read then. For the same reason nothing new is queued while it reads.
   */
  override read(size?: number): Buffer | null {
    const chunks: Buffer[] = []
    for (let chunk = nextChunk(super.read(size)); chunk !== null; chunk = nextChunk(super.read(size)))
      chunks.push(chunk)
    return chunks.length > 1 ? Buffer.concat(chunks) : (chunks[0] ?? null)
  }

  override _read(): void {
    if (this.wantsMore) return
    this.wantsMore = true
    process.nextTick(() => this.connection.aedesMoved())
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#forward([chunk], done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#forward(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  override _final(done: (error?: Error | null) => void): void {
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.connection.aedesClosed(error)
    // Told to the owner; as an 'error' event it would only be told to aedes, which caused it.
    done()
  }

  #forward(pieces: readonly Buffer[], done: (error?: Error | null) => void): void {
    const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
    const packets: AedesPacket[] = []
    const reader = new FrameReader(NO_LIMIT)
    reader.feed(bytes)
    const lastPieces = lastPiecesOf(pieces)
    for (; reader.peek() === Peeked.frame; reader.consume()) {
      const { header, end, total, body } = reader
      const packet = { header, bytes: reader.buffer.subarray(end - total, end), body: body - (end - total) }
      packets.push({ ...packet, payload: lastPieces(end) })
    }
    if (reader.heldBytes > 0) return done(new Error('aedes wrote something other than whole packets'))
    this.owner.packetsFromAedes(packets, bytes, done)
    this.connection.aedesMoved()
  }
}

/** Tells the last piece up to a place, for places that only grow: it may be empty, as an empty payload is. */
function lastPiecesOf(pieces: readonly Buffer[]): (end: number) => Buffer | undefined {
  let index = 0
  let position = 0
  return (end) => {
    let last: Buffer | undefined
    for (let piece = pieces[index]; piece !== undefined; piece = pieces[index]) {
      if (position + piece.length > end) break
      position += piece.length
      last = piece
      index += 1
    }
    return last
  }
}

function nextChunk(chunk: unknown): Buffer | null {
  return Buffer.isBuffer(chunk) ? chunk : null
}
