import { Duplex } from 'node:stream'
import type { Principal } from '../../shared/registry/port.ts'
import { FrameReader, Peeked } from './frames.ts'

/** The gate, as seen from aedes' side of a connection. */
export interface AedesEndOwner {
  readonly principal: Principal
  /** Bytes that the client has not taken yet, on both sides of the gate. */
  readonly unsentBytes: number
  /** aedes finished the CONNECT: from now on it handles packets in their order. */
  ready(): void
  /** Whole packets of aedes, and their types in order. `taken` is called when the client can take more. */
  packetsFromAedes(bytes: Buffer, types: readonly number[], taken: () => void): void
  /** A subscription was granted, or restored. */
  subscribed(filter: string): void
  /** aedes can take more. */
  aedesWantsMore(): void
  /** aedes closed the connection. */
  aedesClosed(error: Error | null): void
}

/** Readable: packets queued for aedes before the gate stops reading. Writable: what one client may lag behind. */
const TO_AEDES_BYTES = 64 * 1024
const FROM_AEDES_BYTES = 256 * 1024

/** No packet of aedes is longer than the protocol allows. */
const NO_LIMIT = 2 ** 28 + 5

/**
 * What aedes takes for the socket of a client. It carries packets whole: aedes writes one packet in several pieces
 * between `cork` and `uncork`, so each `_writev` is whole packets, between which the gate may put its own. Should that
 * ever not hold, the connection is closed rather than its bytes mixed up.
 */
export class AedesEnd extends Duplex {
  readonly owner: AedesEndOwner
  /** False when aedes has enough queued: wait for `aedesWantsMore`. */
  wantsMore = true

  constructor(owner: AedesEndOwner) {
    super({ readableHighWaterMark: TO_AEDES_BYTES, writableHighWaterMark: FROM_AEDES_BYTES, emitClose: true })
    this.owner = owner
  }

  /** Gives aedes a whole packet; the bytes are its own from now on. */
  deliver(packet: Buffer): void {
    this.wantsMore = this.push(packet)
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
    process.nextTick(() => this.owner.aedesWantsMore())
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#forward(chunk, done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#forward(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.owner.aedesClosed(error)
    // Told to the owner; as an 'error' event it would only be told to aedes, which caused it.
    done()
  }

  #forward(bytes: Buffer, done: (error?: Error | null) => void): void {
    const types: number[] = []
    const reader = new FrameReader(NO_LIMIT)
    reader.feed(bytes)
    for (; reader.peek() === Peeked.frame; reader.consume()) types.push(reader.header >> 4)
    if (reader.heldBytes > 0) return done(new Error('aedes wrote something else than whole packets'))
    this.owner.packetsFromAedes(bytes, types, done)
  }
}

function nextChunk(chunk: unknown): Buffer | null {
  return Buffer.isBuffer(chunk) ? chunk : null
}
