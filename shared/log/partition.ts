/**
 * The partition of a record key: murmur2 of its UTF-8 bytes modulo the partition count, exactly as Kafka's default
 * partitioner does it, so that a log keeps every device's records in the same partition wherever it is moved.
 * Source: org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey.
 */
export function partitionOf(key: string, partitions: number): number {
  return partitions === 1 ? 0 : (murmur2(key) & 0x7fff_ffff) % partitions
}

const SEED = 0x9747b28c
const M = 0x5bd1e995

/** The signed 32-bit hash of the key's UTF-8 bytes. */
export function murmur2(key: string): number {
  // Keys are ASCII nearly always: hashing the characters saves the allocation of their bytes.
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) > 127) return hash(Buffer.from(key, 'utf8'))
  return hashAscii(key)
}

function hashAscii(key: string): number {
  const { length } = key
  let h = SEED ^ length
  let i = 0
  for (; i + 4 <= length; i += 4) {
    h = mix(
      h,
      key.charCodeAt(i) | (key.charCodeAt(i + 1) << 8) | (key.charCodeAt(i + 2) << 16) | (key.charCodeAt(i + 3) << 24),
    )
  }
  if (length - i >= 3) h ^= key.charCodeAt(i + 2) << 16
  if (length - i >= 2) h ^= key.charCodeAt(i + 1) << 8
  if (length - i >= 1) h = Math.imul(h ^ key.charCodeAt(i), M)
  return finish(h)
}

function hash(bytes: Buffer): number {
  const { length } = bytes
  const at = (index: number): number => bytes[index] ?? 0
  let h = SEED ^ length
  let i = 0
  for (; i + 4 <= length; i += 4) h = mix(h, bytes.readInt32LE(i))
  if (length - i >= 3) h ^= at(i + 2) << 16
  if (length - i >= 2) h ^= at(i + 1) << 8
  if (length - i >= 1) h = Math.imul(h ^ at(i), M)
  return finish(h)
}

function mix(h: number, word: number): number {
  let k = Math.imul(word, M)
  k ^= k >>> 24
  return Math.imul(h, M) ^ Math.imul(k, M)
}

function finish(h: number): number {
  let result = Math.imul(h ^ (h >>> 13), M)
  result ^= result >>> 15
  return result | 0
}
