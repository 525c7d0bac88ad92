/** Readings in one payload, of any format. */
export const MAX_ELEMENTS = 10_000

/** No format has a reading in fewer bytes: a comma or a length among them. */
const LEAST_BYTES = 3
/** A value of one reading that is no object is recognised up to this length. */
const MAX_PLAIN_BYTES = 64
/** The length of `false`. */
const LONGEST_WORD = 5

const LINE_FEED = 0x0a
const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39
const SEMICOLON = 0x3b
const A = 0x41
const OBJECT = 0x7b
const OBJECT_END = 0x7d
const LAST_PRINTABLE = 0x7e

/**
 * How many readings a payload may hold, which is how many times its stamp reserves: one for a JSON object or a plain
 * value, else what its length allows; of a compressed one, the length that it declares. Part of the scheme of stamps: the
 * decoder asks again, so a payload must always give the same number. With `isOfSeveral` an object holds several devices,
 * and the parts that the decoder asks about do not reserve more than the whole.
 */
export function reservedElements(payload: Uint8Array, isOfSeveral = false): number {
  const { length } = payload
  if (isOfSeveral) return elementsIn(length)
  if (length <= LEAST_BYTES) return 1
  let start = 0
  let first = payload[0] ?? 0
  while (first === 0x20 || (first >= 0x09 && first <= 0x0d)) first = payload[++start] ?? 0
  if (first === OBJECT ? isOneLine(payload, start) : isPlain(first) && isPlainText(payload, start)) return 1
  return elementsIn(declaredLength(payload))
}

/**
 * The same of lines of line protocol that came over HTTP: as many as there are line feeds, and one more. Lines with a time count,
 * too: a policy may put them at the receive time. Records from before reserved at least as many.
 */
export function reservedLines(payload: Uint8Array): number {
  let lines = 1
  for (let at = payload.indexOf(LINE_FEED); at >= 0; at = payload.indexOf(LINE_FEED, at + 1)) lines += 1
  return Math.min(lines, elementsIn(payload.length))
}

function elementsIn(bytes: number): number {
  return bytes >= MAX_ELEMENTS * LEAST_BYTES ? MAX_ELEMENTS : Math.floor(bytes / LEAST_BYTES) + 1
}

/**
 * Several objects stand in several lines; one that is printed over lines only reserves more than it needs. What does not end
 * as an object is of another format.
 */
function isOneLine(payload: Uint8Array, start: number): boolean {
  let end = payload.length - 1
  while (end > start && isBlank(payload[end] ?? 0)) end -= 1
  const at = payload.indexOf(LINE_FEED, start)
  return payload[end] === OBJECT_END && (at < 0 || at > end)
}

/** Firmware in C leaves NULs behind what it sends. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0 || (byte >= 0x09 && byte <= 0x0d)
}

function isSpace(payload: Uint8Array, start: number): boolean {
  for (let i = start; i < payload.length; i++) {
    const byte = payload[i] ?? 0
    if (byte !== 0x20 && !(byte >= 0x09 && byte <= 0x0d)) return false
  }
  return true
}

/** A number, a text, true, false or null begins with it. */
function isPlain(byte: number): boolean {
  return (
    (byte >= ZERO && byte <= NINE) ||
    byte === QUOTE ||
    byte === MINUS ||
    byte === 0x74 ||
    byte === 0x66 ||
    byte === 0x6e
  )
}

function isPlainText(payload: Uint8Array, start: number): boolean {
  if (payload.length - start > MAX_PLAIN_BYTES) return false
  const isQuoted = payload[start] === QUOTE
  for (let i = start; i < payload.length; i++) {
    const byte = payload[i] ?? 0
    // Letters in a number, or more of them than a word has, may write bytes of another format.
    if (!isQuoted && i - start >= LONGEST_WORD && byte >= A && (byte | 0x20) !== 0x65) return false
    if (byte === COMMA || byte === SEMICOLON || byte < 0x20 || byte > LAST_PRINTABLE) return isSpace(payload, i)
  }
  return true
}

/** The length of the payload, or the one that a frame of gzip, zstd or LZ4 declares; Infinity when it declares none. */
export function declaredLength(payload: Uint8Array): number {
  const { length } = payload
  const [a, b, c, d] = payload
  if (a === 0x1f && b === 0x8b) return length < 18 ? Infinity : littleEndian(payload, length - 4, 4)
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return lengthOfZstd(payload)
  // LZ4 frames: the length follows two bytes of flags when bit 3 of the first is set.
  if (a === 0x04 && b === 0x22 && c === 0x4d && d === 0x18) {
    return length >= 14 && ((payload[4] ?? 0) & 0x08) !== 0 ? littleEndian(payload, 6, 8) : Infinity
  }
  return length
}

/** [RFC 8878, 3.1.1.1]: the descriptor says how long the field is, and what stands before it. */
function lengthOfZstd(payload: Uint8Array): number {
  const descriptor = payload[4] ?? 0
  const flag = descriptor >> 6
  const isSingle = (descriptor & 0x20) !== 0
  const bytes = flag === 0 ? (isSingle ? 1 : 0) : 1 << flag
  const start = 5 + (isSingle ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0)
  if (bytes === 0 || payload.length < start + bytes) return Infinity
  return littleEndian(payload, start, bytes) + (bytes === 2 ? 256 : 0)
}

function littleEndian(payload: Uint8Array, start: number, bytes: number): number {
  let value = 0
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (payload[start + i] ?? 0)
  return value
}
