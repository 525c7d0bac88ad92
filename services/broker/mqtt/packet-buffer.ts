// Invariant: what is in the buffer is for the client of its owner. The owner takes everything out in the same
// turn; packets that another owner finds in it reach no client.
import type { AckOutput } from './ack-queue.ts'
import { encodeAcknowledgement } from './v5/encode.ts'

const SCRATCH_BYTES = 4096

/** Where small packets for one client go. */
export interface PacketOutput extends AckOutput {
  /** Any packet. */
  put(packet: Buffer): void
  /** A packet without body. */
  empty(header: number): void
}

/** Whose packets are in the buffer. */
export interface BufferOwner {
  /** Packets for its client were dropped, or another's were in its way: the connection is closed. */
  packetsLost(): void
}

/**
 * Invariant: what is in the buffer is for the client of its owner and no other. Small packets for one client are
 * gathered here and then written at once. All connections of a broker share one buffer: each claims it before it puts
 * something in, and takes everything out in the same turn. Should packets still be here when another one claims or
 * takes, they are dropped and both owners are told: an acknowledgement never reaches another client.
 */
export class PacketBuffer implements PacketOutput {
  readonly #onMixUp: () => void
  #owner: BufferOwner | undefined
  readonly #bytes = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  #length = 0
  /** What did not fit; a client with 4,096 messages in flight may need several pieces. */
  readonly #before: Buffer[] = []

  /** `onMixUp` is told, before the owners, of packets that are dropped because another owner came. */
  constructor(onMixUp: () => void) {
    this.#onMixUp = onMixUp
  }

  /** To be called before packets are put in. */
  claim(owner: BufferOwner): void {
    if (this.#owner === owner) return
    if (!this.isEmpty) this.#drop(owner)
    this.#owner = owner
  }

  get isEmpty(): boolean {
    return this.#length === 0 && this.#before.length === 0
  }

  acknowledge(header: number, id: number): void {
    const at = this.#room(4)
    this.#bytes[at] = header
    this.#bytes[at + 1] = 2
    this.#bytes[at + 2] = id >> 8
    this.#bytes[at + 3] = id & 0xff
  }

  refuse(header: number, id: number, reason: number, text: string | undefined): void {
    this.put(encodeAcknowledgement(header, id, reason, text))
  }

  put(packet: Buffer): void {
    if (packet.length > SCRATCH_BYTES) {
      this.#setAside()
      this.#before.push(packet)
      return
    }
    const at = this.#room(packet.length)
    packet.copy(this.#bytes, at)
  }

  empty(header: number): void {
    const at = this.#room(2)
    this.#bytes[at] = header
    this.#bytes[at + 1] = 0
  }

  /** What the owner put in since the last call, as bytes of its own; undefined when it is another's, and dropped. */
  take(owner: BufferOwner): Buffer | undefined {
    if (this.#owner !== owner) {
      this.#drop(owner)
      return undefined
    }
    const bytes = Buffer.allocUnsafe(this.#length)
    this.#bytes.copy(bytes, 0, 0, this.#length)
    this.#length = 0
    return this.#before.length === 0 ? bytes : Buffer.concat([...this.#before.splice(0), bytes])
  }

  #drop(intruder: BufferOwner): void {
    const owner = this.#owner
    this.#length = 0
    this.#before.length = 0
    this.#owner = undefined
    this.#onMixUp()
    owner?.packetsLost()
    intruder.packetsLost()
  }

  #room(bytes: number): number {
    if (this.#length + bytes > SCRATCH_BYTES) this.#setAside()
    const at = this.#length
    this.#length += bytes
    return at
  }

  #setAside(): void {
    if (this.#length === 0) return
    this.#before.push(Buffer.from(this.#bytes.subarray(0, this.#length)))
    this.#length = 0
  }
}
