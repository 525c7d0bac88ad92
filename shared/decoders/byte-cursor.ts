import { isUtf8 } from 'node:buffer'
import { faultOfRecord, type Fault } from '../faults.ts'
import type { JsonText } from './json-text-writer.ts'

/** Values within values that a binary format may have; those of JSON beyond its own bound are refused one by one. */
const MAX_NESTING = 256

/** Stands for a text that is not UTF-8: half a surrogate pair, for which its field is refused. */
const NO_TEXT = '\ud800'

/** The bytes are not of the format. */
class Malformed extends Error {}

/**
 * The bytes of one payload, from front to back. What is malformed, or not there, ends the reading of it: {@link readAll}
 * turns that into a fault.
 */
export class ByteCursor {
  at = 0
  readonly #bytes: Buffer
  #depth = 0

  constructor(payload: Uint8Array) {
    this.#bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  }

  get length(): number {
    return this.#bytes.length
  }

  fail(what: string, at = this.at): never {
    throw new Malformed(`${what} at byte ${at}`)
  }

  /** Where the next `length` bytes begin, which are there. */
  take(length: number): number {
    const start = this.at
    if (length > this.#bytes.length - start) this.fail(`${length} bytes, where the payload has ${this.length - start},`)
    this.at = start + length
    return start
  }

  byte(): number {
    return this.#bytes[this.take(1)] ?? 0
  }

  /** The next byte, which is not taken. */
  get next(): number | undefined {
    return this.#bytes[this.at]
  }

  uint8(): number {
    return this.byte()
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.take(2))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.take(4))
  }

  /** As a number where that is exact. */
  uint64(): number | bigint {
    const value = this.#bytes.readBigUInt64BE(this.take(8))
    return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
  }

  int8(): number {
    return this.#bytes.readInt8(this.take(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.take(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.take(4))
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.take(8))
  }

  /** RFC 8949, appendix D. */
  float16(): number {
    const half = this.uint16()
    const exponent = (half >> 10) & 0x1f
    const mantissa = half & 0x3ff
    let value: number
    if (exponent === 0) value = mantissa * 2 ** -24
    else if (exponent === 31) value = mantissa === 0 ? Infinity : Number.NaN
    else value = (mantissa + 1024) * 2 ** (exponent - 25)
    return half & 0x8000 ? -value : value
  }

  float32(): number {
    return this.#bytes.readFloatBE(this.take(4))
  }

  float64(): number {
    return this.#bytes.readDoubleBE(this.take(8))
  }

  bytes(length: number): Buffer {
    const start = this.take(length)
    return this.#bytes.subarray(start, start + length)
  }

  text(length: number): string {
    return textOf(this.bytes(length))
  }

  /** Reads something that holds other values. */
  within(read: () => void): void {
    if (this.#depth >= MAX_NESTING) this.fail(`deeper than ${MAX_NESTING} values`)
    this.#depth += 1
    read()
    this.#depth -= 1
  }
}

/** A text, or what stands for one that is not UTF-8. */
export function textOf(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : NO_TEXT
}

/** The name that a key is, which `write` writes as a value: a text itself, all else as JSON. */
export function nameOf(text: JsonText): string {
  const written = text.toString()
  return written.startsWith('"') ? (JSON.parse(written) as string) : written
}

/**
 * The JSON that `read` writes of all of the payload, or a fault that says where it is malformed. Firmware in C leaves NULs
 * behind what it sends.
 */
export function readAll(cursor: ByteCursor, text: JsonText, read: () => void): Uint8Array | Fault {
  try {
    read()
    const end = cursor.at
    while (cursor.next === 0) cursor.at += 1
    if (cursor.at < cursor.length) cursor.fail(`${cursor.length - end} bytes behind the value`, end)
    return text.toBytes()
  } catch (error) {
    if (error instanceof Malformed) return faultOfRecord('payload_not_as_declared', error.message)
    throw error
  }
}
