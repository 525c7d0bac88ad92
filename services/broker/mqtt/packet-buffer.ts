import type { AckOutput } from './ack-queue.ts'
import { encodeAcknowledgement } from './v5/encode.ts'

const SCRATCH_BYTES = 4096

/**
 * Small packets of our own for one client, gathered and then written at once. One is shared by all connections of a
 * broker: whoever puts something in takes it out in the same turn.
 */
export class PacketBuffer implements AckOutput {
  readonly #bytes = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  #length = 0
  /** What did not fit; a client with 4,096 messages in flight may need several pieces. */
  readonly #before: Buffer[] = []

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

  /** Any packet. */
  put(packet: Buffer): void {
    if (packet.length > SCRATCH_BYTES) {
      this.#setAside()
      this.#before.push(packet)
      return
    }
    const at = this.#room(packet.length)
    packet.copy(this.#bytes, at)
  }

  /** A packet without body. */
  empty(header: number): void {
    const at = this.#room(2)
    this.#bytes[at] = header
    this.#bytes[at + 1] = 0
  }

  /** What was put in since the last call, as bytes of its own. */
  take(): Buffer {
    const bytes = Buffer.allocUnsafe(this.#length)
    this.#bytes.copy(bytes, 0, 0, this.#length)
    this.#length = 0
    return this.#before.length === 0 ? bytes : Buffer.concat([...this.#before.splice(0), bytes])
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
