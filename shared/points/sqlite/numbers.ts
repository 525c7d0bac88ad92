import type { ByteReader, ByteWriter } from './bytes.ts'

/** How the whole numbers of a column are written: at most 2^52 either way. */
export interface NumberCoding {
  write(out: ByteWriter, numbers: readonly number[]): void
  /** Throws a RangeError when the bytes end early. */
  read(from: ByteReader, count: number): number[]
}

/** Whole bytes, small numbers in one: what zstd finds repetitions in. */
export const BYTES: NumberCoding = {
  write(out, numbers) {
    for (const number of numbers) out.signed(number)
  },
  read: (from, count) => Array.from({ length: count }, () => from.signed()),
}

/**
 * The first number in bytes, because it is a beginning and the others are differences; those as Rice codes: zigzag form,
 * its high bits in unary, as many low bits as suit the column as they are. No table goes before them, so that few
 * numbers cost little.
 */
export const BITS: NumberCoding = {
  write(out, numbers) {
    const [first] = numbers
    if (first === undefined) return
    out.signed(first)
    writeBits(out, numbers)
  },
  read(from, count) {
    if (count === 0) return []
    const numbers = [from.signed()]
    readBits(from, count - 1, numbers)
    return numbers
  },
}

/** In place of the low bits: every number is 0, and nothing follows. */
const ZEROS = 255

/** More low bits than these are not worth their code: such numbers are written out. */
const MOST_LOW = 23

/** So many high bits say that the number is written out: six bits with how long it is, and the number. */
const WRITTEN_OUT = 12

const LENGTH_BITS = 6

/** Bits that are written in one step. */
const MOST_AT_ONCE = 24

/** Of a number in zigzag form. */
const LONGEST = 54

const LONGEST_BYTES = (WRITTEN_OUT + LENGTH_BITS + LONGEST) / 8

/** All but the first. */
function writeBits(out: ByteWriter, numbers: readonly number[]): void {
  const count = numbers.length - 1
  if (count === 0) return
  const lengths = lengthsOf(numbers)
  if (lengths[0] === count) return out.byte(ZEROS)
  const low = lowBitsFor(lengths)
  out.byte(low)
  const bits = new BitWriter(count)
  const mask = (1 << low) - 1
  const most = WRITTEN_OUT * (mask + 1)
  for (let i = 1; i <= count; i++) {
    const code = codeOf(numbers[i] ?? 0)
    if (code >= most) {
      writeOut(bits, code)
      continue
    }
    const high = code >>> low
    const ones = (1 << (high + 1)) - 2
    if (high + 1 + low <= MOST_AT_ONCE) bits.write((ones << low) | (code & mask), high + 1 + low)
    else {
      bits.write(ones, high + 1)
      bits.write(code & mask, low)
    }
  }
  out.raw(bits.finish())
}

function writeOut(bits: BitWriter, code: number): void {
  const length = lengthOf(code)
  bits.write(2 ** WRITTEN_OUT - 1, WRITTEN_OUT)
  bits.write(length, LENGTH_BITS)
  if (length > 32) bits.write(Math.floor(code / 2 ** 32), length - 32)
  if (length > 16) bits.write(Math.floor(code / 2 ** 16) % 2 ** 16, Math.min(length - 16, 16))
  bits.write(code % 2 ** 16, Math.min(length, 16))
}

function readBits(from: ByteReader, count: number, numbers: number[]): void {
  if (count === 0) return
  const low = from.byte()
  if (low !== ZEROS && low > MOST_LOW) throw new RangeError(`unknown width ${low} of a column`)
  const bits = new BitReader(from)
  const unit = 2 ** low
  for (let i = 0; i < count; i++) {
    let code = 0
    if (low !== ZEROS) {
      const high = bits.ones(WRITTEN_OUT)
      code = high < WRITTEN_OUT ? high * unit + bits.read(low) : readWrittenOut(bits)
    }
    numbers.push(code % 2 === 0 ? code / 2 : -(code + 1) / 2)
  }
}

function readWrittenOut(bits: BitReader): number {
  const length = bits.read(LENGTH_BITS)
  let code = 0
  if (length > 32) code = bits.read(Math.min(length - 32, MOST_LOW + 1))
  if (length > 16) code = code * 2 ** Math.min(length - 16, 16) + bits.read(Math.min(length - 16, 16))
  return code * 2 ** Math.min(length, 16) + bits.read(Math.min(length, 16))
}

/** How many numbers there are of each length in bits, the first excepted. */
function lengthsOf(numbers: readonly number[]): Uint32Array {
  const lengths = new Uint32Array(LONGEST + 1)
  for (let i = 1; i < numbers.length; i++) {
    const length = lengthOf(codeOf(numbers[i] ?? 0))
    lengths[length] = (lengths[length] ?? 0) + 1
  }
  return lengths
}

/** How many low bits make a column shortest, or nearly: numbers of one length are taken for those in the middle of it. */
function lowBitsFor(lengths: Uint32Array): number {
  const longest = lengths.findLastIndex((count) => count > 0)
  let best = { low: 0, bits: Infinity }
  for (let low = 0; low <= Math.min(longest, MOST_LOW); low++) {
    let bits = 0
    for (let length = 0; length <= longest; length++) {
      const high = length > low ? 0.75 * 2 ** (length - low) - 0.5 : 0
      const each = high < WRITTEN_OUT ? high + 1 + low : WRITTEN_OUT + LENGTH_BITS + length
      bits += (lengths[length] ?? 0) * each
    }
    if (bits < best.bits) best = { low, bits }
  }
  return best.low
}

/** Zigzag: small numbers of both signs are small. */
function codeOf(number: number): number {
  return number >= 0 ? number * 2 : -number * 2 - 1
}

/** Bits of a whole number from 0 to 2^53. */
function lengthOf(code: number): number {
  return code < 2 ** 31 ? 32 - Math.clz32(code) : 32 + lengthOf(Math.floor(code / 2 ** 32))
}

/** High bits first. */
class BitWriter {
  readonly #bytes: Uint8Array
  #length = 0
  #pending = 0
  #count = 0

  /** For so many numbers. */
  constructor(numbers: number) {
    this.#bytes = new Uint8Array(numbers * LONGEST_BYTES)
  }

  /** At most 24 bits at once. */
  write(value: number, count: number): void {
    this.#pending = (this.#pending << count) | value
    this.#count += count
    while (this.#count >= 8) {
      this.#count -= 8
      this.#bytes[this.#length++] = this.#pending >>> this.#count
    }
  }

  /** What was written, the last byte filled. */
  finish(): Uint8Array {
    if (this.#count > 0) this.write(0, 8 - this.#count)
    return this.#bytes.subarray(0, this.#length)
  }
}

class BitReader {
  readonly #from: ByteReader
  #pending = 0
  #count = 0

  constructor(from: ByteReader) {
    this.#from = from
  }

  /** At most 24 bits at once. */
  read(count: number): number {
    while (this.#count < count) {
      this.#pending = (this.#pending << 8) | this.#from.byte()
      this.#count += 8
    }
    this.#count -= count
    return (this.#pending >>> this.#count) & ((1 << count) - 1)
  }

  /** How many ones there are before the next zero, which is taken too; at most so many, without one. */
  ones(most: number): number {
    let count = 0
    while (count < most && this.read(1) === 1) count++
    return count
  }
}
