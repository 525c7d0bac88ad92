import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/** A metric as it stands in the payload; see sparkplug_b.proto of the Sparkplug specification 3.0, chapter 6. */
export interface Metric {
  readonly name: string | undefined
  readonly alias: bigint | undefined
  readonly ms: bigint | undefined
  readonly datatype: number
  readonly isNull: boolean
  readonly value: MetricValue | undefined
}

export type MetricValue =
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'bytes' | 'dataset' | 'template'; readonly value: Uint8Array }

/** Throws where the bytes end too early. */
export function readMetric(bytes: Uint8Array): Metric {
  const reader = new BinaryReader(bytes)
  const metric: { -readonly [K in keyof Metric]: Metric[K] } = {
    name: undefined,
    alias: undefined,
    ms: undefined,
    datatype: 0,
    isNull: false,
    value: undefined,
  }
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag()
    if (number === 1 && type === WireType.LengthDelimited) metric.name = reader.string()
    else if (number === 2 && type === WireType.Varint) metric.alias = BigInt(reader.uint64())
    else if (number === 3 && type === WireType.Varint) metric.ms = BigInt(reader.uint64())
    else if (number === 4 && type === WireType.Varint) metric.datatype = reader.uint32()
    else if (number === 7 && type === WireType.Varint) metric.isNull = reader.bool()
    else {
      const value = readValue(reader, number - 9, type)
      if (value === undefined) reader.skip(type, number)
      else metric.value = value
    }
  }
  return metric
}

/** The value that stands in the place of this number among those of a metric, a parameter, or an element of a data set. */
export function readValue(reader: BinaryReader, place: number, type: WireType): MetricValue | undefined {
  if (place === 1 && type === WireType.Varint) return { kind: 'integer', value: BigInt(reader.uint32()) }
  if (place === 2 && type === WireType.Varint) return { kind: 'integer', value: BigInt(reader.uint64()) }
  if (place === 3 && type === WireType.Bit32) return { kind: 'number', value: reader.float() }
  if (place === 4 && type === WireType.Bit64) return { kind: 'number', value: reader.double() }
  if (place === 5 && type === WireType.Varint) return { kind: 'boolean', value: reader.bool() }
  if (type !== WireType.LengthDelimited) return undefined
  if (place === 6) return { kind: 'text', value: reader.string() }
  if (place === 7) return { kind: 'bytes', value: reader.bytes() }
  if (place === 8) return { kind: 'dataset', value: reader.bytes() }
  return place === 9 ? { kind: 'template', value: reader.bytes() } : undefined
}
