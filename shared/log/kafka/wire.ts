/** Numbers and text as Kafka's protocol writes them. Source: Kafka protocol guide, "Protocol Primitive Types". */

/** Signed to unsigned, so that small numbers of either sign are short. Exact up to 2^52. */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

/** Bytes of an unsigned variable-length number. */
export function sizeOfVarint(value: number): number {
  let size = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1
  return size
}

/** Writes an unsigned variable-length number; the index behind it. */
export function writeVarint(buffer: Uint8Array, start: number, value: number): number {
  let at = start
  let rest = value
  while (rest >= 128) {
    buffer[at++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  buffer[at++] = rest
  return at
}

/** Reads one value after the other. Reading past the end throws a RangeError. */
export class ByteReader {
  at: number
  readonly #buffer: Buffer

  constructor(buffer: Buffer, at = 0) {
    this.#buffer = buffer
    this.at = at
  }

  int8(): number {
    return this.#buffer.readInt8(this.#take(1))
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#take(4))
  }

  /** Exact up to 2^53. */
  int64(): number {
    const at = this.#take(8)
    return this.#buffer.readInt32BE(at) * 0x1_0000_0000 + this.#buffer.readUInt32BE(at + 4)
  }

  unsignedVarint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#buffer.readUInt8(this.#take(1))
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }

  /** A signed variable-length number. */
  varint(): number {
    const value = this.unsignedVarint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  text(length: number): string {
    const at = this.#take(length)
    return this.#buffer.toString('utf8', at, at + length)
  }

  /** A view, not a copy. */
  bytes(length: number): Buffer {
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  /** Text behind its length in 16 bits. */
  string(): string {
    return this.text(this.int16())
  }

  compactString(): string {
    return this.text(this.unsignedVarint() - 1)
  }

  /** Bytes or text behind their length plus one; none for 0, which stands for null. */
  compactBytes(): Buffer {
    return this.bytes(Math.max(0, this.unsignedVarint() - 1))
  }

  array<T>(read: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, read)
  }

  compactArray<T>(read: () => T): T[] {
    return Array.from({ length: Math.max(0, this.unsignedVarint() - 1) }, read)
  }

  /** Tagged fields of the flexible versions: none is known here. */
  skipTags(): void {
    for (let left = this.unsignedVarint(); left > 0; left--) {
      this.unsignedVarint()
      this.#take(this.unsignedVarint())
    }
  }

  #take(length: number): number {
    const at = this.at
    if (length < 0 || at + length > this.#buffer.length) throw new RangeError('the response is cut off')
    this.at += length
    return at
  }
}
