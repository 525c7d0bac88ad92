import { isUtf8 } from 'node:buffer'
import { ByteCursor, nameOf, readAll, textOf } from './byte-cursor.ts'
import { JsonText } from './json-text-writer.ts'
import type { PayloadDecoder } from './payload-decoder.ts'
import type { BytesForm } from '../policies/settings.ts'
import { MAX_INSTANT } from '../telemetry.ts'

const BREAK = 0xff
const INDEFINITE = 31
/** Bytes of an integer beyond which it is out of the range of a double. */
const MAX_INTEGER_BYTES = 128
const OUT_OF_RANGE = '1e999'

/** What byte strings within are to become, by the tag around them [RFC 8949, 3.4.5.2]. */
const FORMS: ReadonlyMap<number | bigint, BytesForm> = new Map([
  [21, 'base64url'],
  [22, 'base64'],
  [23, 'hex'],
])
/** Tags whose value is another one, which stands elsewhere: references to strings and to shared values. */
const REFERENCES: ReadonlySet<number | bigint> = new Set([25, 29])

/** How integers are read that are keys, and whether times are written as such. */
interface CborOptions {
  readonly nameOf?: (label: number | bigint) => string
  readonly keepsTimes?: boolean
}

/** CBOR (RFC 8949). */
export const cbor: PayloadDecoder = {
  read: (payload, { policy }) => readCbor(payload, policy.bytes),
}

/** JSON that stands for one item of CBOR, or a fault where the payload is none. */
export function readCbor(payload: Uint8Array, form: BytesForm, options: CborOptions = {}): ReturnType<typeof readAll> {
  const cursor = new ByteCursor(payload)
  const text = new JsonText(form)
  return readAll(cursor, text, () => new CborItems(cursor, options).item(text, form))
}

/** Reads items of CBOR one into the other; each function begins where an item, or its content, begins. */
class CborItems {
  readonly #cursor: ByteCursor
  readonly #options: CborOptions

  constructor(cursor: ByteCursor, options: CborOptions) {
    this.#cursor = cursor
    this.#options = options
  }

  item(text: JsonText, form: BytesForm): void {
    const cursor = this.#cursor
    if (text.isFull) cursor.fail('more than a payload may become')
    const first = cursor.byte()
    const [major, info] = [first >> 5, first & 0x1f]
    if (major === 7) return this.#simple(info, text)
    if (major === 2) return text.bytes(this.#string(2, info), form)
    if (major === 3) return text.string(textOf(this.#string(3, info)))
    if (major === 4) return cursor.within(() => this.#array(info, text, form))
    if (major === 5) return cursor.within(() => this.#map(info, text, form))
    const argument = this.#argument(info)
    if (major === 0) text.integer(argument)
    else if (major === 1) text.integer(negative(argument))
    else cursor.within(() => this.#tagged(argument, text, form))
  }

  /** What the first byte of an item says beside its type. */
  #argument(info: number): number | bigint {
    const cursor = this.#cursor
    if (info < 24) return info
    if (info === 24) return cursor.uint8()
    if (info === 25) return cursor.uint16()
    if (info === 26) return cursor.uint32()
    if (info === 27) return cursor.uint64()
    return cursor.fail(`additional information ${info}`, cursor.at - 1)
  }

  /** Bytes or elements: none holds more than 2^53. */
  #length(info: number): number {
    return Number(this.#argument(info))
  }

  #isBreak(): boolean {
    if (this.#cursor.next !== BREAK) return false
    this.#cursor.at += 1
    return true
  }

  #string(major: 2 | 3, info: number): Buffer {
    const cursor = this.#cursor
    if (info !== INDEFINITE) return cursor.bytes(this.#length(info))
    const chunks: Buffer[] = []
    let isText = true
    while (!this.#isBreak()) {
      const first = cursor.byte()
      if (first >> 5 !== major || (first & 0x1f) === INDEFINITE) cursor.fail('a chunk of another kind', cursor.at - 1)
      const chunk = cursor.bytes(this.#length(first & 0x1f))
      // Each is a text by itself [RFC 8949, 3.2.3].
      isText &&= major === 2 || isUtf8(chunk)
      chunks.push(chunk)
    }
    return isText ? Buffer.concat(chunks) : Buffer.of(BREAK)
  }

  #array(info: number, text: JsonText, form: BytesForm): void {
    const count = info === INDEFINITE ? Infinity : this.#length(info)
    text.beginArray()
    for (let i = 0; i < count && !(count === Infinity && this.#isBreak()); i++) this.item(text, form)
    text.endArray()
  }

  #map(info: number, text: JsonText, form: BytesForm): void {
    const count = info === INDEFINITE ? Infinity : this.#length(info)
    text.beginObject()
    for (let i = 0; i < count && !(count === Infinity && this.#isBreak()); i++) {
      text.key(this.#key(form))
      this.item(text, form)
    }
    text.endObject()
  }

  #key(form: BytesForm): string {
    const cursor = this.#cursor
    const first = cursor.next ?? 0
    const [major, info] = [first >> 5, first & 0x1f]
    if (major === 3) {
      cursor.at += 1
      return textOf(this.#string(3, info))
    }
    if (major <= 1 && this.#options.nameOf !== undefined) {
      cursor.at += 1
      const argument = this.#argument(info)
      return this.#options.nameOf(major === 0 ? argument : negative(argument))
    }
    const name = new JsonText(form)
    cursor.within(() => this.item(name, form))
    return nameOf(name)
  }

  #tagged(tag: number | bigint, text: JsonText, form: BytesForm): void {
    const cursor = this.#cursor
    if (REFERENCES.has(tag)) cursor.fail(`tag ${tag}, which refers to another value,`)
    if (tag === 1 && this.#options.keepsTimes !== true) return this.#time(text, form)
    if (tag === 2 || tag === 3) return text.digits(this.#bignum(tag))
    if (tag === 4 || tag === 5) return this.#fraction(tag, text)
    this.item(text, FORMS.get(tag) ?? form)
  }

  /** Seconds since 1970 [RFC 8949, 3.4.2]; microseconds are as far as a double tells them apart. */
  #time(text: JsonText, form: BytesForm): void {
    const seconds = new JsonText(form)
    this.item(seconds, form)
    const written = seconds.toString()
    const microseconds = Math.round(Number(written) * 1e6)
    const ms = Math.floor(microseconds / 1000)
    if (written.startsWith('"') || !(ms >= 0 && ms < MAX_INSTANT.ms)) text.digits(written)
    else text.time({ ms, ns: (microseconds - ms * 1000) * 1000 })
  }

  #bignum(tag: 2 | 3): string {
    const cursor = this.#cursor
    const first = cursor.byte()
    if (first >> 5 !== 2) cursor.fail('a big number that is no byte string', cursor.at - 1)
    const bytes = this.#string(2, first & 0x1f)
    const start = bytes.findIndex((byte) => byte !== 0)
    if (start >= 0 && bytes.length - start > MAX_INTEGER_BYTES) return tag === 2 ? OUT_OF_RANGE : `-${OUT_OF_RANGE}`
    const size = BigInt(`0x0${bytes.toString('hex')}`)
    return String(tag === 2 ? size : -1n - size)
  }

  /** An exponent and a mantissa: exactly as digits with base 10, as the nearest double with base 2. */
  #fraction(tag: 4 | 5, text: JsonText): void {
    const cursor = this.#cursor
    if (cursor.byte() !== 0x82) cursor.fail('a fraction that is not a list of two', cursor.at - 1)
    const exponent = this.#integer()
    const mantissa = this.#integer()
    if (tag === 4) text.digits(`${mantissa}e${exponent}`)
    else text.number(powerOfTwo(mantissa, exponent))
  }

  #integer(): string {
    const cursor = this.#cursor
    const start = cursor.at
    const integer = new JsonText('hex')
    this.item(integer, 'hex')
    const written = integer.toString()
    if (!/^-?\d+$/.test(written)) cursor.fail('a part of a fraction that is no integer', start)
    return written
  }

  #simple(info: number, text: JsonText): void {
    const cursor = this.#cursor
    if (info === 20 || info === 21) text.boolean(info === 21)
    else if (info === 25) text.number(cursor.float16())
    else if (info === 26) text.number(cursor.float32())
    else if (info === 27) text.number(cursor.float64())
    else if (info === 24 && cursor.uint8() < 32) cursor.fail('a simple value in two bytes', cursor.at - 2)
    else if (info > 24) cursor.fail(info === INDEFINITE ? 'a break' : `additional information ${info}`, cursor.at - 1)
    // undefined, and values that nobody has given a meaning.
    else text.null()
  }
}

function negative(argument: number | bigint): number | bigint {
  return typeof argument === 'number' && argument < Number.MAX_SAFE_INTEGER ? -1 - argument : -1n - BigInt(argument)
}

/** The mantissa times a power of two, or as near as a double comes: infinite beyond its range. */
function powerOfTwo(mantissa: string, exponent: string): number {
  const bits = BigInt(mantissa)
  if (bits === 0n) return 0
  const size = (bits < 0n ? -bits : bits).toString(2).length
  // Into the range of a double first, so that no factor overflows by itself.
  const shift = Math.max(0, size - 64)
  const power = Number(exponent) + shift
  const value = Number(bits >> BigInt(shift))
  if (power < -1000) return value * 2 ** -1000 * 2 ** (power + 1000)
  return power > 1000 ? value * 2 ** 1000 * 2 ** (power - 1000) : value * 2 ** power
}
