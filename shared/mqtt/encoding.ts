/** How MQTT writes numbers, texts and whole packets [MQTT 3.1.1, 1.5 and 2.2]: for both versions and for both sides. */

const CONTINUES = 0x80
const SEVEN_BITS = 0x7f
const MAX_LENGTH_BYTES = 4

/**
 * Writes a remaining length, or a number of variable length in MQTT 5 (0 to 268,435,455, in one to four bytes), and
 * returns the offset after it.
 */
export function writeLength(target: Uint8Array, offset: number, length: number): number {
  let at = offset
  let rest = length
  while (rest > SEVEN_BITS) {
    target[at++] = (rest & SEVEN_BITS) | CONTINUES
    rest >>= 7
  }
  target[at++] = rest
  return at
}

/** A remaining length, or a number of variable length in MQTT 5. */
export function encodeLength(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(MAX_LENGTH_BYTES)
  return bytes.subarray(0, writeLength(bytes, 0, length))
}

/** The fixed header of a packet whose body has `length` bytes. */
export function encodeFixedHeader(first: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(1 + MAX_LENGTH_BYTES)
  bytes[0] = first
  return bytes.subarray(0, writeLength(bytes, 1, length))
}

/** A whole packet from its first byte and the parts of its body. */
export function encodePacket(first: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([encodeFixedHeader(first, length), ...parts])
}

/** A text as UTF-8, or bytes, with two bytes of length in front. */
export function encodeText(text: string | Buffer): Buffer {
  const bytes = bytesOf(text)
  return Buffer.concat([encodeUint16(bytes.length), bytes])
}

/** A text as UTF-8; bytes as they are, not copied. */
export function bytesOf(text: string | Buffer): Buffer {
  return typeof text === 'string' ? Buffer.from(text) : text
}

/** Two bytes, the high one first: a packet identifier, or the length of a text. */
export function encodeUint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}
