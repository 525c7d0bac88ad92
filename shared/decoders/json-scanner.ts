import { isUtf8 } from 'node:buffer'

/** What scanning functions return instead of a position when the payload is not JSON. */
export const SYNTAX = -1

/** Returned instead of a position when a reading is JSON and cannot be stored. */
export const REJECTED = -2

const TAB = 0x09
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c
const ARRAY_END = 0x5d
const OBJECT_END = 0x7d

/** Payloads up to this size share one buffer; larger ones, which are rare, get their own for a moment. */
const SHARED_BYTES = 128 * 1024

/**
 * Walks the bytes of one payload by the JSON grammar (RFC 8259), strictly as `JSON.parse` does, but for `nan` and `inf`.
 * The bytes are copied into a buffer that ends in a 0, which is no part of any token: so no step needs to look whether
 * the end is reached, and the engine sees one kind of array whatever the payload came in.
 */
export class JsonScanner {
  readonly #shared = Buffer.alloc(SHARED_BYTES)
  buffer: Buffer = this.#shared
  /** Bytes of the payload. */
  length = 0
  /** Set by strings: whether the last one held an escape, and whether any held a byte beyond ASCII. */
  escaped = false
  beyondAscii = false
  /** Where the payload stopped being JSON. */
  failedAt = 0
  /** Containers that a skip is in: their closing bytes. */
  readonly #open: number[] = []

  load(payload: Uint8Array): void {
    this.length = payload.length
    if (payload.length >= SHARED_BYTES) this.buffer = Buffer.alloc(payload.length + 1)
    else if (this.buffer !== this.#shared) this.buffer = this.#shared
    this.buffer.set(payload, 0)
    this.buffer[payload.length] = 0
    this.beyondAscii = false
  }

  isUtf8(): boolean {
    return isUtf8(this.buffer.subarray(0, this.length))
  }

  /** What stands where the payload stopped being JSON, for a person. */
  unexpected(): string {
    const byte = this.buffer[this.failedAt] ?? 0
    if (this.failedAt >= this.length) return `the JSON is cut off at byte ${this.failedAt}`
    const shown =
      byte > SPACE && byte < 0x7f ? `"${String.fromCharCode(byte)}"` : `0x${byte.toString(16).padStart(2, '0')}`
    return `unexpected ${shown} at byte ${this.failedAt}`
  }

  text(start: number, end: number): string {
    return this.buffer.toString('utf8', start, end)
  }

  syntax(position: number): number {
    this.failedAt = position
    return SYNTAX
  }

  /** Where the text begins: a byte order mark is none of it. */
  begin(): number {
    const buffer = this.buffer
    const isMarked = buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf && this.length >= 3
    return this.space(isMarked ? 3 : 0)
  }

  /** Behind the white space and NULs from the position on, which firmware in C leaves behind a text. */
  trailing(position: number): number {
    let at = this.space(position)
    while (at < this.length && this.buffer[at] === 0) at = this.space(at + 1)
    return at
  }

  space(position: number): number {
    const buffer = this.buffer
    let at = position
    let byte = buffer[at]
    while (byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB) byte = buffer[++at]
    return at
  }

  /** From behind the opening quote to the closing one. */
  string(position: number): number {
    const buffer = this.buffer
    this.escaped = false
    for (let at = position; ; at++) {
      const byte = buffer[at] ?? 0
      if (byte === QUOTE) return at
      if (byte < SPACE) return this.syntax(at)
      if (byte >= 0x80) this.beyondAscii = true
      else if (byte === BACKSLASH) {
        this.escaped = true
        const behind = this.#escape(at + 1)
        if (behind < 0) return this.syntax(at)
        at = behind
      }
    }
  }

  /** From behind a backslash to the last byte of the escape, or SYNTAX. */
  #escape(position: number): number {
    switch (this.buffer[position]) {
      case 0x22: // "
      case 0x5c: // \
      case 0x2f: // /
      case 0x62: // b
      case 0x66: // f
      case 0x6e: // n
      case 0x72: // r
      case 0x74: // t
        return position
      case 0x75: // u
        for (let i = 1; i <= 4; i++) if (!isHex(this.buffer[position + i] ?? 0)) return SYNTAX
        return position + 4
      default:
        return SYNTAX
    }
  }

  /** From the first byte of a number to behind it. */
  number(position: number): number {
    const buffer = this.buffer
    let at = position
    if (buffer[at] === 0x2d) at++
    const first = buffer[at] ?? 0
    if (first === 0x30) at++
    else if (first > 0x39) return this.#notANumber(at)
    else at = this.#digits(at)
    if (at >= 0 && buffer[at] === 0x2e) at = this.#digits(at + 1)
    if (at >= 0 && (buffer[at] === 0x65 || buffer[at] === 0x45)) {
      at++
      if (buffer[at] === 0x2b || buffer[at] === 0x2d) at++
      at = this.#digits(at)
    }
    return at
  }

  /** Behind the digits, of which there must be one. */
  #digits(position: number): number {
    const buffer = this.buffer
    let at = position
    for (let byte = buffer[at] ?? 0; byte >= 0x30 && byte <= 0x39; byte = buffer[at] ?? 0) at++
    return at === position ? this.syntax(at) : at
  }

  /** Behind `true`, `false`, `null` or `nan`. */
  literal(position: number): number {
    const buffer = this.buffer
    const [a, b, c, d, e] = [
      buffer[position],
      buffer[position + 1],
      buffer[position + 2],
      buffer[position + 3],
      buffer[position + 4],
    ]
    if (a === 0x74 && b === 0x72 && c === 0x75 && d === 0x65) return position + 4
    if (a === 0x6e && b === 0x75 && c === 0x6c && d === 0x6c) return position + 4
    if (a === 0x66 && b === 0x61 && c === 0x6c && d === 0x73 && e === 0x65) return position + 5
    return this.#notANumber(position)
  }

  /** Behind `nan`, `inf` or `infinity` in any case: what printf writes where there is no number. JSON has none of them. */
  #notANumber(position: number): number {
    const beginning = this.buffer.toString('latin1', position, position + 8)
    const found = /^(?:nan|inf(?:inity)?)/i.exec(beginning)
    return found === null ? this.syntax(position) : position + found[0].length
  }

  /** From the opening quote of a key, over the colon, to its value. */
  key(position: number): number {
    if (this.buffer[position] !== QUOTE) return this.syntax(position)
    const end = this.string(position + 1)
    return end < 0 ? end : this.colon(end + 1)
  }

  /** From behind a key's closing quote, over the colon, to its value. */
  colon(position: number): number {
    const at = this.space(position)
    return this.buffer[at] === COLON ? this.space(at + 1) : this.syntax(at)
  }

  /** Behind the value that begins at `position`, however deep: without recursion, so that depth costs no stack. */
  skip(position: number): number {
    const open = this.#open
    open.length = 0
    let at = position
    do {
      at = this.#enter(at)
      if (at >= 0) at = this.#leave(at)
    } while (at >= 0 && open.length > 0)
    return at
  }

  /** Down to the first value that holds no other, and behind it. */
  #enter(position: number): number {
    let at = position
    for (;;) {
      const first = this.buffer[at] ?? 0
      if (first === QUOTE) {
        at = this.string(at + 1)
        return at < 0 ? at : at + 1
      }
      if (first === 0x2d || (first >= 0x30 && first <= 0x39)) return this.number(at)
      if (first !== 0x7b && first !== 0x5b) return this.literal(at)
      const closing = first === 0x7b ? OBJECT_END : ARRAY_END
      at = this.space(at + 1)
      if (this.buffer[at] === closing) return at + 1
      this.#open.push(closing)
      if (closing === OBJECT_END) at = this.key(at)
      if (at < 0) return at
    }
  }

  /** From behind a value to the next one, or behind the container that was last to close. */
  #leave(position: number): number {
    const open = this.#open
    let at = position
    for (let closing = open.at(-1); closing !== undefined; closing = open.at(-1)) {
      at = this.space(at)
      if (this.buffer[at] === COMMA) {
        at = this.space(at + 1)
        return closing === OBJECT_END ? this.key(at) : at
      }
      if (this.buffer[at] !== closing) return this.syntax(at)
      open.pop()
      at += 1
    }
    return at
  }
}

function isHex(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)
}
