import type { Horizon } from '../port.ts'
import { createEncoder, type Request } from './kafkajs-internals.ts'
import { request } from './requests.ts'
import type { TopicRetention } from './topic-settings.ts'

/** What waits in a partition. */
export interface Backlog {
  /** Age of the oldest record. */
  readonly seconds: number
  /** Of all that lies from the oldest record on; undefined where the broker does not tell sizes. */
  readonly bytes: number | undefined
}

/**
 * When retention reaches the oldest record that waits, at the earliest; undefined without a bound, or where its size cannot
 * be known. By bytes it is a guess: what waits came in `seconds`, and the rest of the bound fills at the same rate.
 */
export function horizonOf({ ageMs, bytes: bound }: TopicRetention, backlog: Backlog): Horizon | undefined {
  const { seconds, bytes } = backlog
  const found: Horizon[] = []
  if (ageMs !== undefined) {
    found.push({ seconds: Math.max(0, ageMs / 1000 - seconds), used: seconds / (ageMs / 1000) })
  }
  if (bound !== undefined && bytes !== undefined && bytes > 0) {
    found.push({ seconds: Math.max(0, seconds * (bound / bytes - 1)), used: bytes / bound })
  }
  return found.sort((a, b) => a.seconds - b.seconds)[0]
}

interface ReplicaSize {
  readonly partition: number
  readonly bytes: number
}

/** DescribeLogDirs, version 1: none for a login that may not describe the cluster. Of the replicas on the node asked. */
export function sizesRequest(topic: string, partitions: readonly number[]): Request<ReplicaSize[]> {
  return request(35, 1, 'DescribeLogDirs', {
    encode() {
      const body = createEncoder().writeInt32(1).writeString(topic).writeInt32(partitions.length)
      for (const partition of partitions) body.writeInt32(partition)
      return body
    },
    decode(reader): ReplicaSize[] {
      reader.int32()
      const folders = reader.array(() => {
        reader.int16()
        reader.string()
        return reader.array(() => {
          reader.string()
          return reader.array(() => {
            const size = { partition: reader.int32(), bytes: reader.int64() }
            reader.int64()
            const isOnItsWay = reader.int8() === 1
            return { ...size, isOnItsWay }
          })
        })
      })
      return folders.flat(2).filter(({ isOnItsWay }) => !isOnItsWay)
    },
  })
}
