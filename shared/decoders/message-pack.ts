import { ByteCursor, nameOf, readAll } from './byte-cursor.ts'
import { JsonText } from './json-text-writer.ts'
import type { PayloadDecoder } from './payload-decoder.ts'
import { fromNanoseconds } from '../telemetry.ts'

/** The type of extensions that are times. */
const TIMESTAMP = -1

/** MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md). */
export const messagePack: PayloadDecoder = {
  read(payload, { policy }) {
    const cursor = new ByteCursor(payload)
    const text = new JsonText(policy.bytes)
    return readAll(cursor, text, () => readValue(cursor, text, policy.bytes))
  },
}

type Form = ConstructorParameters<typeof JsonText>[0]

function readValue(cursor: ByteCursor, text: JsonText, form: Form): void {
  if (text.isFull) cursor.fail('more than a payload may become')
  const first = cursor.byte()
  if (first < 0x80) text.integer(first)
  else if (first < 0x90) cursor.within(() => readMap(cursor, first & 0x0f, text, form))
  else if (first < 0xa0) cursor.within(() => readArray(cursor, first & 0x0f, text, form))
  else if (first < 0xc0) text.string(cursor.text(first & 0x1f))
  else if (first >= 0xe0) text.integer(first - 0x100)
  else readTyped(cursor, first, text, form)
}

/** A value whose first byte says its type alone. */
function readTyped(cursor: ByteCursor, first: number, text: JsonText, form: Form): void {
  switch (first) {
    case 0xc0:
      return text.null()
    case 0xc2:
    case 0xc3:
      return text.boolean(first === 0xc3)
    case 0xca:
      return text.number(cursor.float32())
    case 0xcb:
      return text.number(cursor.float64())
    case 0xcc:
      return text.integer(cursor.uint8())
    case 0xcd:
      return text.integer(cursor.uint16())
    case 0xce:
      return text.integer(cursor.uint32())
    case 0xcf:
      return text.integer(cursor.uint64())
    case 0xd0:
      return text.integer(cursor.int8())
    case 0xd1:
      return text.integer(cursor.int16())
    case 0xd2:
      return text.integer(cursor.int32())
    case 0xd3:
      return text.integer(cursor.int64())
    default:
      return readSized(cursor, first, text, form)
  }
}

/** A value whose length stands behind its first byte. */
function readSized(cursor: ByteCursor, first: number, text: JsonText, form: Form): void {
  // In each family the widths stand in a row: 8, 16 and 32 bits; maps and arrays have no 8.
  if (first >= 0xc4 && first <= 0xc6) return text.bytes(cursor.bytes(lengthOf(cursor, first - 0xc4)), form)
  if (first >= 0xc7 && first <= 0xc9) return readExtension(cursor, lengthOf(cursor, first - 0xc7), text, form)
  if (first >= 0xd4 && first <= 0xd8) return readExtension(cursor, 1 << (first - 0xd4), text, form)
  if (first >= 0xd9 && first <= 0xdb) return text.string(cursor.text(lengthOf(cursor, first - 0xd9)))
  if (first === 0xc1) cursor.fail('0xc1, which stands for nothing,', cursor.at - 1)
  const length = lengthOf(cursor, (first & 1) + 1)
  cursor.within(() => (first <= 0xdd ? readArray : readMap)(cursor, length, text, form))
}

function lengthOf(cursor: ByteCursor, width: number): number {
  return width === 0 ? cursor.uint8() : width === 1 ? cursor.uint16() : cursor.uint32()
}

function readArray(cursor: ByteCursor, count: number, text: JsonText, form: Form): void {
  text.beginArray()
  for (let i = 0; i < count; i++) readValue(cursor, text, form)
  text.endArray()
}

function readMap(cursor: ByteCursor, count: number, text: JsonText, form: Form): void {
  text.beginObject()
  for (let i = 0; i < count; i++) {
    text.key(readKey(cursor, form))
    readValue(cursor, text, form)
  }
  text.endObject()
}

function readKey(cursor: ByteCursor, form: Form): string {
  const first = cursor.next ?? 0
  if (first >= 0xa0 && first < 0xc0) {
    cursor.at += 1
    return cursor.text(first & 0x1f)
  }
  const name = new JsonText(form)
  cursor.within(() => readValue(cursor, name, form))
  return nameOf(name)
}

/** A time, or bytes that only their sender knows. */
function readExtension(cursor: ByteCursor, length: number, text: JsonText, form: Form): void {
  const type = cursor.int8()
  const start = cursor.at
  const bytes = cursor.bytes(length)
  if (type !== TIMESTAMP) return text.bytes(bytes, form)
  const time = timeOf(bytes)
  if (time === undefined) return cursor.fail('a time that is none', start)
  // Beyond what a text of a time can say it is a number of seconds.
  if (time.seconds < 0n || time.seconds >= 253_402_300_800n) return text.integer(time.seconds)
  text.time(fromNanoseconds(time.seconds * 1_000_000_000n + BigInt(time.nanoseconds)))
}

function timeOf(bytes: Buffer): { readonly seconds: bigint; readonly nanoseconds: number } | undefined {
  let seconds = 0n
  let nanoseconds = 0
  if (bytes.length === 4) seconds = BigInt(bytes.readUInt32BE(0))
  else if (bytes.length === 8) {
    const both = bytes.readBigUInt64BE(0)
    nanoseconds = Number(both >> 34n)
    seconds = both & 0x3_ffff_ffffn
  } else if (bytes.length === 12) {
    nanoseconds = bytes.readUInt32BE(0)
    seconds = bytes.readBigInt64BE(4)
  } else return undefined
  return nanoseconds < 1_000_000_000 ? { seconds, nanoseconds } : undefined
}
