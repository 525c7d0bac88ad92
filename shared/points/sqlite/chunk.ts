import { crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { FieldType } from '../../telemetry.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { readTimes, readValues, writeTimes, writeValues, type Run } from './columns.ts'

/**
 * The encoding of a chunk, its first byte; only ever added to. Those of format 1 have no checksum. Later ones have four
 * bytes of CRC-32 behind it (little-endian), over the first byte and all that follows.
 */
const OLD_PLAIN = 1
const OLD_ZSTD = 2
const PLAIN = 3
const ZSTD = 4

/** First byte and checksum. */
const HEADER_BYTES = 5

/** Below this zstd's own header eats what it saves, and setting it up takes longer than the rest of a small chunk. */
const LEAST_ZSTD = 128

/** What every frame of zstd begins with; it is left out. */
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

/**
 * Points of one series as one blob: times as differences of differences, values by type, then zstd where that is
 * smaller. Reading gives back the same bits. How many points it holds and of what type is kept beside it. The checksum
 * begins with `seed`, so that the bytes of one chunk are not those of another.
 */
export function encodeChunk(type: FieldType, run: Run, seed: number): Uint8Array {
  const out = new ByteWriter()
  for (let i = 0; i < HEADER_BYTES; i++) out.byte(i === 0 ? PLAIN : 0)
  writeTimes(out, run)
  writeValues(out, type, run.values)
  const plain = out.finish()
  if (plain.length < LEAST_ZSTD) return withChecksum(plain.slice(), seed)
  const packed = zstdCompressSync(plain.subarray(HEADER_BYTES)).subarray(ZSTD_MAGIC.length)
  if (packed.length + HEADER_BYTES >= plain.length) return withChecksum(plain.slice(), seed)
  const bytes = new Uint8Array(packed.length + HEADER_BYTES)
  bytes[0] = ZSTD
  bytes.set(packed, HEADER_BYTES)
  return withChecksum(bytes, seed)
}

/**
 * Inverse of {@link encodeChunk}; without a seed, of a chunk of format 1. Throws a RangeError when the bytes are not such
 * a chunk.
 */
export function decodeChunk(type: FieldType, count: number, bytes: Uint8Array, seed: number | undefined): Run {
  const plain = plainBytes(bytes, seed)
  const from = new ByteReader(plain)
  const { ms, ns } = readTimes(from, count)
  const values = readValues(from, type, count)
  if (!from.atEnd) throw new RangeError('a chunk has more than its points')
  return { ms, ns, values }
}

/** True when a chunk with a checksum is whole. */
export function hasChecksum(bytes: Uint8Array, seed: number): boolean {
  if (bytes.length < HEADER_BYTES) return false
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true) === checksum(bytes, seed)
}

function plainBytes(bytes: Uint8Array, seed: number | undefined): Uint8Array {
  const encoding = bytes[0]
  if (seed === undefined) {
    if (encoding === OLD_PLAIN) return bytes.subarray(1)
    if (encoding === OLD_ZSTD) return unpacked(bytes.subarray(1))
    throw new RangeError(`unknown encoding of a chunk: ${encoding}`)
  }
  if (!hasChecksum(bytes, seed)) throw new RangeError('the checksum of a chunk differs')
  if (encoding !== PLAIN && encoding !== ZSTD) throw new RangeError(`unknown encoding of a chunk: ${encoding}`)
  const rest = bytes.subarray(HEADER_BYTES)
  return encoding === PLAIN ? rest : unpacked(Buffer.concat([ZSTD_MAGIC, rest]))
}

/** Throws a RangeError for bytes that zstd did not make: an old chunk has nothing else to tell it by. */
function unpacked(bytes: Uint8Array): Uint8Array {
  try {
    return zstdDecompressSync(bytes)
  } catch (error) {
    throw new RangeError('a chunk cannot be unpacked', { cause: error })
  }
}

function withChecksum(bytes: Uint8Array, seed: number): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(1, checksum(bytes, seed), true)
  return bytes
}

function checksum(bytes: Uint8Array, seed: number): number {
  return crc32(bytes.subarray(HEADER_BYTES), crc32(bytes.subarray(0, 1), seed))
}
