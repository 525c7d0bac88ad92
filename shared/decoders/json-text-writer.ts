import type { BytesForm } from '../policies/settings.ts'
import { formatInstant, type Instant } from '../telemetry.ts'

/** Characters of the JSON that a payload becomes: twice the bytes that it may have, which only values of a byte exceed. */
const MAX_CHARACTERS = 8 * 1024 * 1024

/**
 * Writes the JSON that a payload of another format stands for, so that nothing of it is lost on the way: integers of any
 * size, what is no number, names that stand twice. Whoever writes calls {@link key} before each value of an object. Depth
 * is no concern of this: the reader of JSON bounds it.
 */
export class JsonText {
  readonly #bytesForm: BytesForm
  #text = ''
  #isNext = false

  constructor(bytesForm: BytesForm) {
    this.#bytesForm = bytesForm
  }

  /** More than a payload may become: whoever writes stops, and gives up. */
  get isFull(): boolean {
    return this.#text.length > MAX_CHARACTERS
  }

  beginObject(): void {
    this.#write('{')
    this.#isNext = false
  }

  endObject(): void {
    this.#text += '}'
    this.#isNext = true
  }

  beginArray(): void {
    this.#write('[')
    this.#isNext = false
  }

  endArray(): void {
    this.#text += ']'
    this.#isNext = true
  }

  key(name: string): void {
    this.#write(`${quoted(name)}:`)
    this.#isNext = false
  }

  /** A text; where it is not well-formed its field is refused. */
  string(value: string): void {
    this.#write(quoted(value))
  }

  /** A double: never an integer that is kept exactly, whatever its size. Null where it is no number. */
  number(value: number): void {
    if (Number.isSafeInteger(value)) this.#write(Object.is(value, -0) ? '-0' : String(value))
    else if (!Number.isFinite(value)) this.#write('nan')
    else {
      const text = String(value)
      this.#write(/[.e]/.test(text) ? text : `${text}e0`)
    }
  }

  /** An integer, exactly. */
  integer(value: bigint | number): void {
    this.#write(String(value))
  }

  /** A number by its digits, as JSON writes them. */
  digits(text: string): void {
    this.#write(text)
  }

  boolean(value: boolean): void {
    this.#write(value ? 'true' : 'false')
  }

  null(): void {
    this.#write('null')
  }

  /** Bytes that are no text, in the form that the policy says, or in this one. */
  bytes(value: Uint8Array, form = this.#bytesForm): void {
    const { buffer, byteOffset, byteLength } = value
    this.#write(`"${Buffer.from(buffer, byteOffset, byteLength).toString(form)}"`)
  }

  /** A time that the format says is one. */
  time(value: Instant): void {
    this.#write(`"${formatInstant(value)}"`)
  }

  toString(): string {
    return this.#text
  }

  toBytes(): Uint8Array {
    return Buffer.from(this.#text)
  }

  #write(text: string): void {
    this.#text += this.#isNext ? `,${text}` : text
    this.#isNext = true
  }
}

/** A text in JSON: as it is between quotes, where nothing of it needs an escape. */
function quoted(text: string): string {
  return /["\\\p{Cc}\p{Cs}]/u.test(text) ? JSON.stringify(text) : `"${text}"`
}
