import { crc32 } from 'node:zlib'
import { schemeOf } from '../stamps/scheme.ts'
import type { LogRecord } from '../telemetry.ts'

/**
 * The packed form of a run of records: what the embedded log keeps in one row. Little endian throughout.
 *
 *     0   u8   format version, 2 (1 is the same without schemes)
 *     1   u8*3 zero
 *     4   u32  CRC-32 of everything from byte 8 on
 *     8   u32  number of records
 *     12  the records one after the other, each:
 *           f64 receive time, ms   u24 the rest in ns   u8 scheme of the stamp, 0 for none   u32 key bytes   u32 header bytes   u32 value bytes
 *           key (UTF-8), headers, value
 *
 * Headers are pairs of texts, each u32 length and UTF-8; 0 header bytes mean none.
 */
const VERSION = 2
const NS_BITS = 24
const NS_MASK = 0xff_ffff
const HEAD_BYTES = 12
const RECORD_HEAD_BYTES = 24

/** Packs records into one growing buffer. Texts must be well-formed (a lone surrogate becomes U+FFFD). */
export class BatchPacker {
  count = 0
  /** Newest receive time among the records; -1 while there are none. */
  ms = -1
  ns = 0
  #bytes: Buffer
  #view: DataView
  #used = HEAD_BYTES

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(capacity, 256))
    this.#view = new DataView(this.#bytes.buffer)
  }

  get byteLength(): number {
    return this.#used
  }

  /** Returns the bytes that the record takes. */
  add(record: LogRecord): number {
    const { key, value, ms, ns, scheme, headers } = record
    const start = this.#used
    // A UTF-16 unit takes at most 3 bytes of UTF-8.
    this.#reserve(RECORD_HEAD_BYTES + key.length * 3 + value.byteLength)
    let used = start + RECORD_HEAD_BYTES
    const keyBytes = writeText(this.#bytes, key, used)
    used += keyBytes
    const headerBytes = headers === undefined ? 0 : this.#addHeaders(headers, used, value.byteLength)
    used += headerBytes
    this.#bytes.set(value, used)
    const view = this.#view
    view.setFloat64(start, ms, true)
    view.setUint32(start + 8, scheme === undefined ? ns : ns | (scheme << NS_BITS), true)
    view.setUint32(start + 12, keyBytes, true)
    view.setUint32(start + 16, headerBytes, true)
    view.setUint32(start + 20, value.byteLength, true)
    this.#used = used + value.byteLength
    this.count++
    if (ms > this.ms || (ms === this.ms && ns > this.ns)) {
      this.ms = ms
      this.ns = ns
    }
    return this.#used - start
  }

  /** The packed records; the buffer has its own memory, which may be transferred. The checksum is set by {@link seal}. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#view.setUint32(0, VERSION, true)
    this.#view.setUint32(8, this.count, true)
    return new Uint8Array(this.#view.buffer as ArrayBuffer, 0, this.#used) // allocUnsafeSlow never shares memory
  }

  #addHeaders(headers: Readonly<Record<string, string>>, start: number, valueBytes: number): number {
    let used = start
    for (const name of Object.keys(headers)) {
      for (const text of [name, headers[name] ?? '']) {
        this.#used = used
        this.#reserve(4 + text.length * 3 + valueBytes)
        const length = writeText(this.#bytes, text, used + 4)
        this.#view.setUint32(used, length, true)
        used += 4 + length
      }
    }
    return used - start
  }

  #reserve(more: number): void {
    const needed = this.#used + more
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#used))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

/** Writes the checksum. Done by the thread that stores the row: it costs the main thread nothing there. */
export function seal(packed: Uint8Array): void {
  viewOf(packed).setUint32(4, crc32(packed.subarray(8)), true)
}

/** What is wrong with a stored row, or undefined when it is intact. */
export function flawOf(packed: Uint8Array, records: number): string | undefined {
  if (packed.byteLength < HEAD_BYTES) return `${packed.byteLength} bytes are too short`
  if (packed[0] !== VERSION && packed[0] !== 1) return `unknown format version ${packed[0]}`
  const view = viewOf(packed)
  if (crc32(packed.subarray(8)) !== view.getUint32(4, true)) return 'the checksum does not match'
  return view.getUint32(8, true) === records ? undefined : `${records} records are said to be in it`
}

/** Reads a packed run of records in order, any number at a time; values and nothing else share the buffer's memory. */
export class BatchCursor {
  remaining: number
  readonly #bytes: Buffer
  readonly #view: DataView
  #at = HEAD_BYTES
  // Of the record before: a device's records often come in runs, and what is known is not made again.
  #key = ''
  #keyStart = 0
  #keyEnd = 0
  #named: Readonly<Record<string, string>> | undefined
  #namedStart = 0
  #namedEnd = 0

  constructor(packed: Uint8Array) {
    this.#bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength)
    this.#view = viewOf(packed)
    this.remaining = this.#view.getUint32(8, true)
  }

  /** The next record. There must be one: check `remaining`. */
  next(): LogRecord {
    const view = this.#view
    const start = this.#at
    const keyEnd = start + RECORD_HEAD_BYTES + view.getUint32(start + 12, true)
    const headersEnd = keyEnd + view.getUint32(start + 16, true)
    const valueEnd = headersEnd + view.getUint32(start + 20, true)
    this.#at = valueEnd
    this.remaining--
    const rest = view.getUint32(start + 8, true)
    return {
      key: this.#keyAt(start + RECORD_HEAD_BYTES, keyEnd),
      value: this.#bytes.subarray(headersEnd, valueEnd),
      ms: view.getFloat64(start, true),
      ns: rest & NS_MASK,
      scheme: rest > NS_MASK ? schemeOf(rest >>> NS_BITS) : undefined,
      headers: this.#headersAt(keyEnd, headersEnd),
    }
  }

  /** Receive time of the next record, which stays the next one. */
  peekTime(): { ms: number; ns: number } {
    return { ms: this.#view.getFloat64(this.#at, true), ns: this.#view.getUint32(this.#at + 8, true) & NS_MASK }
  }

  skip(records: number): void {
    for (let i = 0; i < records; i++) {
      const view = this.#view
      const at = this.#at
      this.#at +=
        RECORD_HEAD_BYTES +
        view.getUint32(at + 12, true) +
        view.getUint32(at + 16, true) +
        view.getUint32(at + 20, true)
    }
    this.remaining -= records
  }

  #keyAt(start: number, end: number): string {
    if (!this.#isSame(start, end, this.#keyStart, this.#keyEnd)) this.#key = this.#bytes.toString('utf8', start, end)
    this.#keyStart = start
    this.#keyEnd = end
    return this.#key
  }

  #headersAt(start: number, end: number): Readonly<Record<string, string>> | undefined {
    if (start === end) return undefined
    if (!this.#isSame(start, end, this.#namedStart, this.#namedEnd)) this.#named = this.#headers(start, end)
    this.#namedStart = start
    this.#namedEnd = end
    return this.#named
  }

  /** Compared from the end: that is where names differ. */
  #isSame(start: number, end: number, otherStart: number, otherEnd: number): boolean {
    if (end - start !== otherEnd - otherStart) return false
    const bytes = this.#bytes
    const shift = start - otherStart
    for (let at = end - 1; at >= start; at--) if (bytes[at] !== bytes[at - shift]) return false
    return true
  }

  #headers(start: number, end: number): Record<string, string> {
    const pairs: [string, string][] = []
    let at = start
    const text = (): string => {
      const from = at + 4
      at = from + this.#view.getUint32(at, true)
      return this.#bytes.toString('utf8', from, at)
    }
    while (at < end) pairs.push([text(), text()])
    return Object.fromEntries(pairs) // own properties, also for a header called __proto__
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Writes `text` as UTF-8 at `at` and returns its bytes. The loop beats the call into C++ for short ASCII texts. */
function writeText(bytes: Buffer, text: string, at: number): number {
  const { length } = text
  if (length > 64) return bytes.write(text, at, 'utf8')
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 127) return bytes.write(text, at, 'utf8')
    bytes[at + i] = unit
  }
  return length
}
