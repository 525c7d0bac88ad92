import { encodeAcknowledgement } from './v5/encode.ts'
import { Header } from './packets.ts'

const ID = 0xffff
/** Answered with PUBREC instead of PUBACK. */
const EXACTLY_ONCE = 1 << 16
/** Needs nothing more: a refused message, which is never stored. */
const READY = 1 << 17
/** Above it: the reason code of MQTT 5 of a refused message. */
const REASON_SHIFT = 18

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
  /** Reasons in words, by place in the ring. */
  #texts: Map<number, string> | undefined

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

  /** A message that is acknowledged as soon as all before it are; with the reason why it was refused, in MQTT 5. */
  addReady(id: number, qos: number, reason = 0, text?: string): void {
    if (text !== undefined) (this.#texts ??= new Map()).set((this.#head + this.size) % this.#capacity, text)
    this.#push(id | READY | (qos === 2 ? EXACTLY_ONCE : 0) | (reason << REASON_SHIFT))
  }

  /** The oldest message that waits for it is durable. */
  durable(): void {
    this.#durable += 1
  }

  /** Gives what may be sent now to the output, in order. */
  release(output: AckOutput): void {
    const ring = this.#ring
    if (ring === undefined) return
    while (this.size > 0) {
      const entry = ring[this.#head] ?? 0
      if ((entry & READY) === 0) {
        if (this.#durable === 0) return
        this.#durable -= 1
      }
      const place = this.#head
      this.#head = (place + 1) % this.#capacity
      this.size -= 1
      const header = (entry & EXACTLY_ONCE) === 0 ? Header.puback : Header.pubrec
      const reason = entry >> REASON_SHIFT
      if (reason === 0) output.acknowledge(header, entry & ID)
      else output.refuse(header, entry & ID, reason, this.#takeText(place))
    }
  }

  #takeText(place: number): string | undefined {
    const text = this.#texts?.get(place)
    this.#texts?.delete(place)
    return text
  }

  #push(entry: number): void {
    this.#ring ??= new Int32Array(this.#capacity)
    this.#ring[(this.#head + this.size) % this.#capacity] = entry
    this.size += 1
  }
}

export interface AckOutput {
  /** A packet's first byte and its id. */
  acknowledge(header: number, id: number): void
  /** The same with a reason code of MQTT 5, and the reason in words. */
  refuse(header: number, id: number, reason: number, text: string | undefined): void
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

const FEW = 64

/**
 * Packet ids of QoS 2 messages between PUBLISH and PUBREL. Usually a few; a client that never sends PUBREL ends with
 * the 8 KiB that a bit for each possible id takes.
 */
export class PacketIds {
  /** How many there are. */
  size = 0
  #few: Set<number> | undefined
  #bits: Uint8Array | undefined

  has(id: number): boolean {
    if (this.#bits === undefined) return this.#few?.has(id) === true
    return ((this.#bits[id >> 3] ?? 0) & (1 << (id & 7))) !== 0
  }

  add(id: number): void {
    if (this.has(id)) return
    this.size += 1
    if (this.#bits === undefined) {
      this.#few ??= new Set()
      if (this.#few.size < FEW) return void this.#few.add(id)
    }
    this.#bits ??= this.#spread()
    this.#bits[id >> 3] = (this.#bits[id >> 3] ?? 0) | (1 << (id & 7))
  }

  /** True when it was there. */
  delete(id: number): boolean {
    if (!this.has(id)) return false
    this.size -= 1
    if (this.#bits === undefined) return this.#few?.delete(id) === true
    this.#bits[id >> 3] = (this.#bits[id >> 3] ?? 0) & ~(1 << (id & 7))
    return true
  }

  #spread(): Uint8Array {
    const bits = new Uint8Array(8192)
    for (const id of this.#few ?? []) bits[id >> 3] = (bits[id >> 3] ?? 0) | (1 << (id & 7))
    this.#few = undefined
    return bits
  }
}
