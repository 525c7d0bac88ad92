import { createEncoder, type Request } from './kafkajs-internals.ts'
import { ByteReader } from './wire.ts'

/**
 * The requests whose answers Sluice must see partition by partition: kafkajs turns the first error of any partition into an
 * exception about all of them. Versions are those of Kafka 2.1 and newer, where no other is said. Source: Kafka protocol guide.
 */

export interface ProduceResult {
  readonly partition: number
  readonly code: number
  readonly baseOffset: number
}

/** Produce, version 7, acks from all replicas in sync. One batch per partition. */
export function produceRequest(
  topic: string,
  batches: readonly { readonly partition: number; readonly bytes: Buffer }[],
  timeoutMs: number,
): Request<ProduceResult[]> {
  return request(0, 7, 'Produce', {
    encode() {
      const body = createEncoder().writeString(null).writeInt16(-1).writeInt32(timeoutMs)
      body.writeInt32(1).writeString(topic).writeInt32(batches.length)
      for (const { partition, bytes } of batches) body.writeInt32(partition).writeBytes(bytes)
      return body
    },
    decode(reader) {
      const topics = reader.array(() => {
        reader.string()
        return reader.array(() => {
          const result = { partition: reader.int32(), code: reader.int16(), baseOffset: reader.int64() }
          reader.int64()
          reader.int64()
          return result
        })
      })
      return topics.flat()
    },
  })
}

export interface FetchResult {
  readonly topic: string
  readonly partition: number
  readonly code: number
  /** Offset behind the last record that all replicas in sync have. */
  readonly end: number
  /** First offset still kept. */
  readonly logStart: number
  readonly bytes: Buffer
}

export interface FetchOptions {
  /** How long the broker may wait for the first byte. */
  readonly maxWaitMs: number
  readonly maxBytes: number
  readonly partitionBytes: number
}

/** Fetch, version 6. */
export function fetchRequest(
  wanted: readonly { readonly topic: string; readonly partition: number; readonly offset: number }[],
  { maxWaitMs, maxBytes, partitionBytes }: FetchOptions,
): Request<FetchResult[]> {
  return request(1, 6, 'Fetch', {
    encode() {
      const body = createEncoder().writeInt32(-1).writeInt32(maxWaitMs).writeInt32(1).writeInt32(maxBytes).writeInt8(0)
      body.writeInt32(wanted.length)
      for (const { topic, partition, offset } of wanted) {
        body.writeString(topic).writeInt32(1).writeInt32(partition)
        body.writeInt64(BigInt(offset)).writeInt64(-1n).writeInt32(partitionBytes)
      }
      return body
    },
    decode(reader) {
      reader.int32()
      const topics = reader.array(() => {
        const topic = reader.string()
        return reader.array(() => {
          const result = { topic, partition: reader.int32(), code: reader.int16(), end: reader.int64() }
          reader.int64()
          const logStart = reader.int64()
          reader.array(() => reader.bytes(16))
          return { ...result, logStart, bytes: reader.bytes(Math.max(0, reader.int32())) }
        })
      })
      return topics.flat()
    },
  })
}

/** The special times of ListOffsets; any other one is milliseconds since 1970. */
export const ListedTime = { end: -1, start: -2, newest: -3 } as const

export interface ListedOffset {
  readonly partition: number
  readonly code: number
  /** Of the record found; -1 when there is none. */
  readonly ms: number
  /** -1 when no record is at or after the time. */
  readonly offset: number
}

/** The first version that can be asked for the newest time, of Kafka 3.0, and the oldest that is spoken here. */
export const LIST_NEWEST = 7
export const LIST_OFFSETS_LEAST = 4
/** From here on with compact texts and tagged fields. */
const LIST_OFFSETS_FLEXIBLE = 6

/** ListOffsets, of version {@link LIST_OFFSETS_LEAST} to {@link LIST_NEWEST}. */
export function listOffsetsRequest(
  topic: string,
  partitions: readonly number[],
  time: number,
  version = LIST_NEWEST,
): Request<ListedOffset[]> {
  const isFlexible = version >= LIST_OFFSETS_FLEXIBLE
  return request(2, version, 'ListOffsets', {
    encode() {
      const body = createEncoder()
      if (!isFlexible) {
        body.writeInt32(-1).writeInt8(0).writeInt32(1).writeString(topic).writeInt32(partitions.length)
        for (const partition of partitions) body.writeInt32(partition).writeInt32(-1).writeInt64(BigInt(time))
        return body
      }
      // Tagged fields, of which there are none: of the header, each partition, each topic and the request.
      body.writeUVarInt(0).writeInt32(-1).writeInt8(0)
      body
        .writeUVarInt(2)
        .writeUVarIntString(topic)
        .writeUVarInt(partitions.length + 1)
      for (const partition of partitions)
        body.writeInt32(partition).writeInt32(-1).writeInt64(BigInt(time)).writeUVarInt(0)
      return body.writeUVarInt(0).writeUVarInt(0)
    },
    decode(reader) {
      const listed = () => {
        const result = { partition: reader.int32(), code: reader.int16(), ms: reader.int64(), offset: reader.int64() }
        reader.int32()
        if (isFlexible) reader.skipTags()
        return result
      }
      if (isFlexible) reader.skipTags()
      reader.int32()
      if (!isFlexible) {
        return reader
          .array(() => {
            reader.string()
            return reader.array(listed)
          })
          .flat()
      }
      const topics = reader.compactArray(() => {
        reader.compactString()
        const results = reader.compactArray(listed)
        reader.skipTags()
        return results
      })
      return topics.flat()
    },
  })
}

interface Codec<T> {
  readonly encode: () => ReturnType<typeof createEncoder>
  readonly decode: (reader: ByteReader) => T
}

/** One request of a fixed version. */
export function request<T>(
  apiKey: number,
  apiVersion: number,
  apiName: string,
  { encode, decode }: Codec<T>,
): Request<T> {
  return {
    request: { apiKey, apiVersion, apiName, encode: async () => encode() },
    response: { decode: async (payload) => decode(new ByteReader(payload)), parse: async (decoded) => decoded },
  }
}
