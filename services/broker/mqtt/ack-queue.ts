// Invariant: acknowledgements leave in the order of their messages [MQTT-4.6.0-2, 4.6.0-3], each once, and that of a
// message on its way to the log never before `durable` was called for it.
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
