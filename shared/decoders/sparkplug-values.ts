import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type { JsonText } from './json-text-writer.ts'
import { readMetric, readValue, type Metric, type MetricValue } from './sparkplug-metric.ts'

/** Templates within templates: JSON takes as many objects within objects. */
const MAX_DEPTH = 30

/** Bits of signed integers by data type [Sparkplug 3.0, 6.4.16]: they are sent as unsigned ones. */
const SIGNED: Readonly<Record<number, number>> = { 1: 8, 2: 16, 3: 32, 4: 64 }
/** Arrays of numbers: bytes of each element, and how it is read. Little-endian. */
const ARRAYS: Readonly<
  Record<number, readonly [bytes: number, read: (view: DataView, at: number) => number | bigint, isReal?: true]>
> = {
  22: [1, (view, at) => view.getInt8(at)],
  23: [2, (view, at) => view.getInt16(at, true)],
  24: [4, (view, at) => view.getInt32(at, true)],
  25: [8, (view, at) => view.getBigInt64(at, true)],
  26: [1, (view, at) => view.getUint8(at)],
  27: [2, (view, at) => view.getUint16(at, true)],
  28: [4, (view, at) => view.getUint32(at, true)],
  29: [8, (view, at) => view.getBigUint64(at, true)],
  30: [4, (view, at) => view.getFloat32(at, true), true],
  31: [8, (view, at) => view.getFloat64(at, true), true],
  34: [8, (view, at) => view.getBigUint64(at, true)],
}
const BOOLEANS = 32
const TEXTS = 33

/** Writes metrics and what stands in them as members of an object. */
export class SparkplugValues {
  readonly #text: JsonText
  #depth = 0

  constructor(text: JsonText) {
    this.#text = text
  }

  metric({ name, alias, datatype, isNull, value }: Metric): void {
    const text = this.#text
    text.key(name !== undefined && name !== '' ? name : `alias.${alias ?? 'none'}`)
    if (isNull || value === undefined) text.null()
    else this.#value(value, datatype)
  }

  #value(found: MetricValue, datatype: number): void {
    const text = this.#text
    if (text.isFull) throw new RangeError('it becomes too much text')
    const { kind, value } = found
    if (kind === 'integer') {
      const bits = SIGNED[datatype]
      return text.integer(bits === undefined ? value : BigInt.asIntN(bits, value))
    }
    if (kind === 'number') return text.number(value)
    if (kind === 'boolean') return text.boolean(value)
    if (kind === 'text') return text.string(value)
    if (kind === 'bytes') return this.#bytes(value, datatype)
    if ((this.#depth += 1) > MAX_DEPTH) throw new RangeError('templates are too deep')
    if (kind === 'dataset') this.#dataset(value)
    else this.#template(value)
    this.#depth -= 1
  }

  #bytes(value: Uint8Array, datatype: number): void {
    const text = this.#text
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
    const array = ARRAYS[datatype]
    if (array === undefined && datatype !== BOOLEANS && datatype !== TEXTS) return text.bytes(value)
    text.beginArray()
    if (array !== undefined) {
      const [size, read, isReal] = array
      for (let at = 0; at + size <= value.length; at += size) {
        const one = read(view, at)
        if (isReal === true) text.number(Number(one))
        else text.integer(one)
      }
    } else if (datatype === BOOLEANS) this.#booleans(view)
    else {
      const all = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')
      for (const one of all.replace(/\0$/, '').split('\0')) text.string(one)
    }
    text.endArray()
  }

  /** A count of four bytes, and that many bits, the highest of each byte first. */
  #booleans(view: DataView): void {
    const count = view.byteLength < 4 ? 0 : Math.min(view.getUint32(0, true), (view.byteLength - 4) * 8)
    for (let i = 0; i < count; i++) this.#text.boolean((view.getUint8(4 + (i >> 3)) & (0x80 >> (i & 7))) !== 0)
  }

  /** One row is an object of its columns; several are a list of such. */
  #dataset(bytes: Uint8Array): void {
    const columns: string[] = []
    const types: number[] = []
    const rows: (MetricValue | undefined)[][] = []
    const reader = new BinaryReader(bytes)
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag()
      if (number === 2 && type === WireType.LengthDelimited) columns.push(reader.string())
      else if (number === 3 && type === WireType.Varint) types.push(reader.uint32())
      else if (number === 3 && type === WireType.LengthDelimited) types.push(...packed(reader.bytes()))
      else if (number === 4 && type === WireType.LengthDelimited) rows.push(elementsOf(reader.bytes()))
      else reader.skip(type, number)
    }
    const text = this.#text
    if (rows.length !== 1) text.beginArray()
    for (const row of rows) {
      text.beginObject()
      for (const [i, value] of row.entries()) {
        text.key(columns[i] ?? String(i))
        if (value === undefined) text.null()
        else this.#value(value, types[i] ?? 0)
      }
      text.endObject()
    }
    if (rows.length !== 1) text.endArray()
  }

  /** An object of its metrics. */
  #template(bytes: Uint8Array): void {
    this.#text.beginObject()
    const reader = new BinaryReader(bytes)
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag()
      if (number === 2 && type === WireType.LengthDelimited) this.metric(readMetric(reader.bytes()))
      else reader.skip(type, number)
    }
    this.#text.endObject()
  }
}

function packed(bytes: Uint8Array): number[] {
  const reader = new BinaryReader(bytes)
  const found: number[] = []
  while (reader.pos < reader.len) found.push(reader.uint32())
  return found
}

function elementsOf(bytes: Uint8Array): (MetricValue | undefined)[] {
  const reader = new BinaryReader(bytes)
  const found: (MetricValue | undefined)[] = []
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag()
    if (number === 1 && type === WireType.LengthDelimited) found.push(elementOf(reader.bytes()))
    else reader.skip(type, number)
  }
  return found
}

function elementOf(bytes: Uint8Array): MetricValue | undefined {
  const reader = new BinaryReader(bytes)
  let found: MetricValue | undefined
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag()
    const value = readValue(reader, number, type)
    if (value === undefined) reader.skip(type, number)
    else found = value
  }
  return found
}
