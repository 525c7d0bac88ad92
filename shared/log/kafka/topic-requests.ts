import { createEncoder, type Encoder, type Request } from './kafkajs-internals.ts'
import { type FetchOptions, type FetchResult, request } from './requests.ts'

/**
 * Requests that name a topic by its id: a topic that is deleted and made again has another one, under the same name.
 * Source: Kafka protocol guide; KIP-516.
 */

export const ApiKey = { fetch: 1, listOffsets: 2, metadata: 3 } as const

/** The first version that tells ids of topics. */
export const METADATA_WITH_IDS = 10
/** The first version that asks by ids, of Kafka 3.1. */
export const FETCH_BY_ID = 13

const ID_BYTES = 16
const NO_ID = Buffer.alloc(ID_BYTES).toString('base64url')

export interface TopicIdAnswer {
  readonly code: number
  /** As Kafka's tools show it; undefined where the broker gives topics none. */
  readonly id: string | undefined
}

/** Metadata of one topic, version {@link METADATA_WITH_IDS}. */
export function topicIdRequest(topic: string): Request<TopicIdAnswer> {
  return request(ApiKey.metadata, METADATA_WITH_IDS, 'Metadata', {
    encode() {
      // Tagged fields, of which there are none, end the header, each topic and the request.
      const body = createEncoder().writeUVarInt(0).writeUVarInt(2).writeBuffer(Buffer.alloc(ID_BYTES))
      // Not to be made, and no rights to be told.
      return body.writeUVarIntString(topic).writeUVarInt(0).writeBuffer(Buffer.alloc(3)).writeUVarInt(0)
    },
    decode(reader) {
      reader.skipTags()
      reader.int32()
      reader.compactArray(() => {
        reader.int32()
        reader.compactString()
        reader.int32()
        reader.compactBytes()
        reader.skipTags()
      })
      reader.compactBytes()
      reader.int32()
      // One topic was asked for; what follows it is not needed.
      if (reader.unsignedVarint() < 2) return { code: 0, id: undefined }
      const code = reader.int16()
      reader.compactBytes()
      const id = reader.bytes(ID_BYTES).toString('base64url')
      return { code, id: id === NO_ID ? undefined : id }
    },
  })
}

export interface PlaceById {
  readonly topic: string
  readonly id: string
  readonly partition: number
  readonly offset: number
}

/** Fetch, version {@link FETCH_BY_ID}, without a session. */
export function fetchByIdRequest(
  wanted: readonly PlaceById[],
  { maxWaitMs, maxBytes, partitionBytes }: FetchOptions,
): Request<FetchResult[]> {
  const names = new Map(wanted.map(({ id, topic }) => [id, topic]))
  return request(ApiKey.fetch, FETCH_BY_ID, 'Fetch', {
    encode() {
      const body = createEncoder().writeUVarInt(0).writeInt32(-1).writeInt32(maxWaitMs).writeInt32(1)
      body.writeInt32(maxBytes).writeInt8(0).writeInt32(0).writeInt32(-1)
      body.writeUVarInt(wanted.length + 1)
      for (const place of wanted) writePlace(body, place, partitionBytes)
      // Nothing to forget, no rack.
      return body.writeUVarInt(1).writeUVarIntString('').writeUVarInt(0)
    },
    decode(reader) {
      reader.skipTags()
      reader.int32()
      const refused = reader.int16()
      reader.int32()
      const topics = reader.compactArray(() => {
        const topic = names.get(reader.bytes(ID_BYTES).toString('base64url')) ?? ''
        const results = reader.compactArray((): FetchResult => {
          const partition = reader.int32()
          const code = reader.int16()
          const end = reader.int64()
          reader.int64()
          const logStart = reader.int64()
          reader.compactArray(() => {
            reader.bytes(16)
            reader.skipTags()
          })
          reader.int32()
          const bytes = reader.compactBytes()
          reader.skipTags()
          return { topic, partition, code, end, logStart, bytes }
        })
        reader.skipTags()
        return results
      })
      // What is refused as a whole is refused for each.
      if (refused === 0) return topics.flat()
      return wanted.map(({ topic, partition }) => {
        return { topic, partition, code: refused, end: 0, logStart: 0, bytes: Buffer.alloc(0) }
      })
    },
  })
}

function writePlace(body: Encoder, { id, partition, offset }: PlaceById, partitionBytes: number): void {
  body.writeBuffer(Buffer.from(id, 'base64url')).writeUVarInt(2).writeInt32(partition).writeInt32(-1)
  body.writeInt64(BigInt(offset)).writeInt32(-1).writeInt64(-1n).writeInt32(partitionBytes)
  body.writeUVarInt(0).writeUVarInt(0)
}
