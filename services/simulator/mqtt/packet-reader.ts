import { PACKET } from '../../../shared/mqtt/client-packets.ts'

export interface PacketHandler {
  /** CONNACK, PUBACK, PUBREC and PUBCOMP: `first` and `second` are the two bytes behind the length. */
  packet(type: number, first: number, second: number): void
  pong(): void
  /** Bytes that a broker never sends to a client without subscriptions. */
  unexpected(detail: string): void
}

/**
 * Reads what a broker sends to a publisher, cut at any byte: packets of four bytes, and PINGRESP of two.
 * Nothing is copied but a packet that is cut.
 */
export class PacketReader {
  readonly #handler: PacketHandler
  readonly #cut = new Uint8Array(4)
  #cutLength = 0

  constructor(handler: PacketHandler) {
    this.#handler = handler
  }

  /** Forgets a packet that was cut; for a new connection. */
  reset(): void {
    this.#cutLength = 0
  }

  read(bytes: Uint8Array, length: number): void {
    let at = 0
    while (this.#cutLength > 0 && at < length) at = this.#completeCut(bytes, at)
    while (at < length) {
      const size = packetSize(bytes[at] ?? 0)
      if (size === 0) return this.#handler.unexpected(`a packet of type ${(bytes[at] ?? 0) >> 4}`)
      if (at + size > length) {
        this.#cut.set(bytes.subarray(at, length))
        this.#cutLength = length - at
        return
      }
      this.#emit(bytes, at)
      at += size
    }
  }

  #completeCut(bytes: Uint8Array, at: number): number {
    this.#cut[this.#cutLength] = bytes[at] ?? 0
    this.#cutLength += 1
    if (this.#cutLength === packetSize(this.#cut[0] ?? 0)) {
      this.#cutLength = 0
      this.#emit(this.#cut, 0)
    }
    return at + 1
  }

  #emit(bytes: Uint8Array, at: number): void {
    const type = bytes[at] ?? 0
    const expected = type === PACKET.pingresp ? 0 : 2
    if (bytes[at + 1] !== expected) return this.#handler.unexpected(`a packet of type ${type >> 4} with a wrong length`)
    if (type === PACKET.pingresp) return this.#handler.pong()
    this.#handler.packet(type, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0)
  }
}

/** Whole size of a packet by its first byte; 0 for one that must not come. */
function packetSize(type: number): number {
  switch (type) {
    case PACKET.puback:
    case PACKET.pubrec:
    case PACKET.pubcomp:
    case PACKET.connack:
      return 4
    case PACKET.pingresp:
      return 2
    default:
      return 0
  }
}
