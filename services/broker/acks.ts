import { Header } from './packets.ts'

const ID = 0xffff
/** Answered with PUBREC instead of PUBACK. */
const EXACTLY_ONCE = 1 << 16
/** Needs nothing more: a refused message, which is never stored. */
const READY = 1 << 17

/**
 * The acknowledgements that one client waits for, in the order in which its messages came [MQTT-4.6.0-2, 4.6.0-3].
 * A ring of whole numbers: nothing is allocated per message.
 */
export class AckQueue {
  /** Messages that are not acknowledged yet. */
  size = 0
  /** How many of these, refused ones aside, are durable. */
  #durable = 0
  #head = 0
  readonly #capacity: number
  #ring: Int32Array | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get isFull(): boolean {
    return this.size >= this.#capacity
  }

  /** A message that is acknowledged when `durable` was called for it and for all before it. */
  add(id: number, qos: number): void {
    this.#push(id | (qos === 2 ? EXACTLY_ONCE : 0))
  }

  /** A message that is acknowledged as soon as all before it are. */
  addReady(id: number, qos: number): void {
    this.#push(id | READY | (qos === 2 ? EXACTLY_ONCE : 0))
  }

  /** The oldest message that waits for it is durable. */
  durable(): void {
    this.#durable += 1
  }

  /** Takes out what may be sent now, in order; `send` gets the packet's first byte and its id. */
  release(output: AckOutput): void {
    const ring = this.#ring
    if (ring === undefined) return
    while (this.size > 0) {
      const entry = ring[this.#head] ?? 0
      if ((entry & READY) === 0) {
        if (this.#durable === 0) return
        this.#durable -= 1
      }
      this.#head = (this.#head + 1) % this.#capacity
      this.size -= 1
      output.acknowledge((entry & EXACTLY_ONCE) === 0 ? Header.puback : Header.pubrec, entry & ID)
    }
  }

  #push(entry: number): void {
    this.#ring ??= new Int32Array(this.#capacity)
    this.#ring[(this.#head + this.size) % this.#capacity] = entry
    this.size += 1
  }
}

export interface AckOutput {
  acknowledge(header: number, id: number): void
}

const SCRATCH_BYTES = 4096

/**
 * Small packets of our own for one socket, gathered and then written at once. One is shared by all connections of a
 * broker: whoever puts something in takes it out in the same turn.
 */
export class SmallPackets implements AckOutput {
  readonly #bytes = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  #length = 0
  /** What did not fit; a client with 4,096 messages in flight may need several pieces. */
  readonly #before: Buffer[] = []

  get isEmpty(): boolean {
    return this.#length === 0
  }

  acknowledge(header: number, id: number): void {
    const at = this.#room(4)
    this.#bytes[at] = header
    this.#bytes[at + 1] = 2
    this.#bytes[at + 2] = id >> 8
    this.#bytes[at + 3] = id & 0xff
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
    if (this.#length + bytes > SCRATCH_BYTES) {
      this.#before.push(Buffer.from(this.#bytes.subarray(0, this.#length)))
      this.#length = 0
    }
    const at = this.#length
    this.#length += bytes
    return at
  }
}

const FEW = 64

/**
 * Packet ids of QoS 2 messages between PUBLISH and PUBREL. Usually a few; a client that never sends PUBREL ends with
 * the 8 KiB that a bit for each possible id takes.
 */
export class PacketIds {
  readonly #few = new Set<number>()
  #bits: Uint8Array | undefined

  has(id: number): boolean {
    if (this.#bits === undefined) return this.#few.has(id)
    return ((this.#bits[id >> 3] ?? 0) & (1 << (id & 7))) !== 0
  }

  add(id: number): void {
    if (this.#bits === undefined && this.#few.size < FEW) {
      this.#few.add(id)
      return
    }
    this.#bits ??= this.#spread()
    this.#bits[id >> 3] = (this.#bits[id >> 3] ?? 0) | (1 << (id & 7))
  }

  /** True when it was there. */
  delete(id: number): boolean {
    if (this.#bits === undefined) return this.#few.delete(id)
    if (!this.has(id)) return false
    this.#bits[id >> 3] = (this.#bits[id >> 3] ?? 0) & ~(1 << (id & 7))
    return true
  }

  #spread(): Uint8Array {
    const bits = new Uint8Array(8192)
    for (const id of this.#few) bits[id >> 3] = (bits[id >> 3] ?? 0) | (1 << (id & 7))
    this.#few.clear()
    return bits
  }
}
