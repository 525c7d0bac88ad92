import { decodeFeatures, encodeFeatures } from '../../features.ts'
import { createEncoder } from './kafkajs-internals.ts'
import { ByteReader } from './wire.ts'

/**
 * What members of a group tell each other, in the format of Kafka's own consumers, so that its tools can show it.
 * Source: org.apache.kafka.clients.consumer.internals.ConsumerProtocol, version 0.
 */
export function encodeSubscription(topic: string, features: readonly string[]): Buffer {
  return createEncoder().writeInt16(0).writeInt32(1).writeString(topic).writeBytes(encodeFeatures(features)).buffer
}

/** What a member reads, see features.ts; nothing of one that does not say it, or is none of ours. */
export function featuresOf(subscription: Buffer): string[] {
  try {
    const reader = new ByteReader(subscription)
    reader.int16()
    reader.array(() => reader.string())
    const length = reader.int32()
    return decodeFeatures(subscription.subarray(reader.at, reader.at + Math.max(0, length)))
  } catch (error) {
    if (error instanceof RangeError) return []
    throw error
  }
}

export function encodeAssignment(topic: string, partitions: readonly number[]): Buffer {
  const body = createEncoder().writeInt16(0).writeInt32(1).writeString(topic).writeInt32(partitions.length)
  for (const partition of partitions) body.writeInt32(partition)
  return body.writeBytes(Buffer.alloc(0)).buffer
}

/** A group is of one topic. A member without a share gets no bytes at all. */
export function decodeAssignment(bytes: Buffer): number[] {
  if (bytes.length === 0) return []
  const reader = new ByteReader(bytes)
  reader.int16()
  const topics = reader.array(() => {
    reader.string()
    return reader.array(() => reader.int32())
  })
  return topics.flat()
}

/**
 * Partitions by member: as equal as can be, and as far as can be the same ones after each join, because members are sorted
 * by their ids.
 */
export function assign(members: readonly string[], partitions: number): Map<string, number[]> {
  const sorted = members.toSorted()
  const shares = new Map(sorted.map((member): [string, number[]] => [member, []]))
  for (let partition = 0; partition < partitions; partition++) {
    shares.get(sorted[partition % sorted.length] ?? '')?.push(partition)
  }
  return shares
}
