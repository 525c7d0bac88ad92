import { Kept, type LineHead } from './line-head.ts'
import { valueOf } from './line-values.ts'

/** A field of a line as it is written, in latin1, and its value; null: no number (`nan`); undefined: none that can be read. */
export type LineField = readonly [written: string, value: number | bigint | boolean | string | null | undefined]

/** One line of Influx line protocol. */
export interface Line {
  readonly head: LineHead
  /** In order, at least one. */
  readonly fields: readonly LineField[]
  /** Its digits, with a sign perhaps. */
  readonly time: string | undefined
}

const LINE_FEED = 0x0a
const RETURN = 0x0d
const SPACE = 0x20
const QUOTE = 0x22
const HASH = 0x23
const COMMA = 0x2c
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39
const EQUALS = 0x3d
const BACKSLASH = 0x5c

/**
 * Reads bytes of line protocol line by line: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/. Comments
 * and empty lines are passed over. Behind a line that is none it goes on at the next line feed, whatever that stands in. What is
 * in front of the fields of a line, and the names of fields, are kept by their bytes.
 */
export class LineReader {
  readonly #kept = new Kept()
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0
  #start = 0
  /** The field being read. */
  #written = ''

  load(bytes: Uint8Array, from = 0): void {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = from
  }

  /** Over what is between lines; false at the end. */
  begin(): boolean {
    const buffer = this.#buffer
    for (;;) {
      while (isBlank(buffer[this.#at])) this.#at += 1
      this.#start = this.#at
      if (buffer[this.#at] !== HASH) return this.#at < buffer.length
      this.#at = this.#endOf(this.#at)
    }
  }

  /** The bytes of the line that was read last, or up to its first line feed where it is none. */
  written(): Buffer {
    return this.#buffer.subarray(this.#start, this.#at)
  }

  /** Behind the line at or behind `from` in what was loaded, and its line feed; as {@link read} parts lines, but reads nothing. */
  endOfLine(from: number): number {
    this.#at = from
    if (this.begin() && !this.#skipLine()) this.#at = this.#start
    return Math.min(this.#endOf(this.#at) + 1, this.#buffer.length)
  }

  /** Over the line; false where it is none. */
  #skipLine(): boolean {
    const end = this.#nameEnd(SPACE, SPACE)
    if (end < 0) return false
    this.#at = end
    this.#spaces()
    do {
      const behind = this.#nameEnd(EQUALS, COMMA)
      if (behind <= this.#at) return false
      this.#at = behind + 1
      if (this.#buffer[this.#at] === QUOTE) {
        const closing = this.#closingQuote()
        if (closing < 0) return false
        this.#at = closing + 1
      } else this.#at = this.#bareEnd()
    } while (this.#take(COMMA))
    if (this.#spaces()) this.#at = this.#digitsEnd()
    this.#spaces()
    return this.#isAtEnd()
  }

  /** The line at which {@link begin} arrived, or what is wrong with it, for a person. */
  read(): Line | string {
    const line = this.#line()
    if (typeof line === 'string') this.#at = this.#endOf(this.#start)
    return line
  }

  #line(): Line | string {
    const end = this.#nameEnd(SPACE, SPACE)
    if (end < 0) return 'there is no field: a blank and field=value must follow the tags'
    const head = this.#kept.head(this.#buffer.toString('latin1', this.#at, end))
    if (head === undefined) return 'what stands before the first blank is no measurement with tags'
    this.#at = end
    this.#spaces()
    const fields: LineField[] = []
    do {
      const wrong = this.#field(fields)
      if (wrong !== undefined) return wrong
    } while (this.#take(COMMA))
    const time = this.#spaces() ? this.#digits() : undefined
    this.#spaces()
    return this.#isAtEnd() ? { head, fields, time } : 'behind the fields there is something else than a time'
  }

  #field(fields: LineField[]): string | undefined {
    const end = this.#nameEnd(EQUALS, COMMA)
    if (end <= this.#at) return 'a field has no name or no value'
    this.#written = this.#buffer.toString('latin1', this.#at, end)
    this.#at = end + 1
    if (this.#buffer[this.#at] === QUOTE) {
      const text = this.#quoted()
      if (text === undefined) return 'a text has no end: a quote is missing'
      fields.push([this.#written, text])
      return undefined
    }
    fields.push([this.#written, valueOf(this.#bare())])
    return undefined
  }

  /** Where the first `end` stands without a backslash in front; negative where `before`, a blank or a line feed comes first. */
  #nameEnd(end: number, before: number): number {
    const buffer = this.#buffer
    for (let i = this.#at; i < buffer.length; i += 1) {
      const byte = buffer[i] ?? 0
      if (byte > EQUALS || (byte !== end && byte !== before && byte !== SPACE && byte !== LINE_FEED)) continue
      if (byte === LINE_FEED) return -1
      if (buffer[i - 1] === BACKSLASH && i > this.#at) continue
      return byte === end ? i : -1
    }
    return -1
  }

  #spaces(): boolean {
    const from = this.#at
    while (this.#buffer[this.#at] === SPACE) this.#at += 1
    return this.#at > from
  }

  #isAtEnd(): boolean {
    const next = this.#buffer[this.#at]
    return next === undefined || next === LINE_FEED || (next === RETURN && this.#isLast(this.#at + 1))
  }

  #isLast(at: number): boolean {
    return at >= this.#buffer.length || this.#buffer[at] === LINE_FEED
  }

  #take(byte: number): boolean {
    if (this.#buffer[this.#at] !== byte) return false
    this.#at += 1
    return true
  }

  /** Of the text that begins here; line feeds may stand in it. Negative where there is none. */
  #closingQuote(): number {
    const buffer = this.#buffer
    for (let i = this.#at + 1; i < buffer.length; i += 1) {
      const byte = buffer[i]
      if (byte === QUOTE) return i
      if (byte === BACKSLASH && (buffer[i + 1] === QUOTE || buffer[i + 1] === BACKSLASH)) i += 1
    }
    return -1
  }

  /** From the opening quote. */
  #quoted(): string | undefined {
    const end = this.#closingQuote()
    if (end < 0) return undefined
    const text = this.#buffer.toString('utf8', this.#at + 1, end)
    this.#at = end + 1
    return text.includes('\\') ? text.replace(/\\(["\\])/g, '$1') : text
  }

  #bareEnd(): number {
    const buffer = this.#buffer
    let at = this.#at
    for (; at < buffer.length; at += 1) {
      const byte = buffer[at]
      if (byte === COMMA || byte === SPACE || byte === LINE_FEED) break
      if (byte === RETURN && this.#isLast(at + 1)) break
    }
    return at
  }

  #bare(): string {
    const end = this.#bareEnd()
    const text = this.#buffer.toString('latin1', this.#at, end)
    this.#at = end
    return text
  }

  #digitsEnd(): number {
    let at = this.#at
    if (this.#buffer[at] === MINUS) at += 1
    for (let byte = this.#buffer[at]; byte !== undefined && byte >= ZERO && byte <= NINE;)
      byte = this.#buffer[(at += 1)]
    return at
  }

  #digits(): string | undefined {
    const end = this.#digitsEnd()
    if (end === this.#at) return undefined
    const digits = this.#buffer.toString('latin1', this.#at, end)
    this.#at = end
    return digits
  }

  #endOf(from: number): number {
    const end = this.#buffer.indexOf(LINE_FEED, from)
    return end < 0 ? this.#buffer.length : end
  }
}

/** The lines of bytes that are nothing but line protocol, each with fields whose values can all be read; else undefined. */
export function linesOf(reader: LineReader, bytes: Uint8Array): Line[] | undefined {
  // Without it there is no field.
  if (!bytes.includes(EQUALS)) return undefined
  const lines: Line[] = []
  reader.load(bytes)
  while (reader.begin()) {
    const line = reader.read()
    if (typeof line === 'string' || line.fields.some(([, value]) => value === undefined)) return undefined
    lines.push(line)
  }
  return lines
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || (byte !== undefined && byte >= 0x09 && byte <= RETURN)
}
