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
