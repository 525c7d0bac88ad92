import { crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { FieldType } from '../../telemetry.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { readTimes, readValues, timesOf, valuesOf, writeColumns, type Column, type Run } from './columns.ts'
import { BITS, BYTES } from './numbers.ts'

/**
 * The encoding of a chunk, its first byte; only ever added to. Those of format 1 have no checksum. Later ones have four
 * bytes of CRC-32 behind it (little-endian), over the first byte and all that follows: numbers as bytes, as they are or
 * in zstd, and since format 3 times as bits without the first, and values as bits or as bytes in zstd.
 */
const OLD_PLAIN = 1
const OLD_ZSTD = 2
const PLAIN = 3
const ZSTD = 4
const BITS_BITS = 5
const BITS_ZSTD = 6

/** First byte and checksum. */
const HEADER_BYTES = 5

/** Below this zstd's own header eats what it saves, and setting it up takes longer than the rest of a small chunk. */
const LEAST_ZSTD = 128

/** What every frame of zstd begins with; it is left out. */
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

/**
 * Points of one series as one blob: times as differences of differences, values by type, in the encoding that is the
 * shortest. Reading gives back the same bits. How many points it holds, of what type, and the first one's time are kept
 * beside it. The checksum begins with `seed`, so that the bytes of one chunk are not those of another.
 */
export function encodeChunk(type: FieldType, run: Run, seed: number): Uint8Array {
  const values = valuesOf(type, run.values)
  const times = new ByteWriter()
  writeColumns(times, timesOf(run, 'behind first'), BITS)
  const asBits = new ByteWriter()
  asBits.raw(times.finish())
  writeColumns(asBits, values, BITS)
  // Where the times keep a rhythm in steps of different lengths, zstd finds it, in bytes only. Steps of one length take no bit each.
  const isRegular = times.finish().length < 16 + run.ms.length / 8
  const other = isRegular ? packed(values, times.finish()) : packed([...timesOf(run), ...values])
  const [encoding, bytes] =
    other !== undefined && other.length < asBits.finish().length
      ? [isRegular ? BITS_ZSTD : ZSTD, other]
      : [BITS_BITS, asBits.finish()]
  const chunk = new Uint8Array(HEADER_BYTES + bytes.length)
  chunk[0] = encoding
  chunk.set(bytes, HEADER_BYTES)
  return withChecksum(chunk, seed)
}

/** Columns as bytes in zstd, behind what goes before them; undefined when they are too few to try. */
function packed(columns: readonly Column[], before: Uint8Array = new Uint8Array()): Uint8Array | undefined {
  const out = new ByteWriter()
  writeColumns(out, columns, BYTES)
  if (out.finish().length < LEAST_ZSTD) return undefined
  return Buffer.concat([before, zstdCompressSync(out.finish()).subarray(ZSTD_MAGIC.length)])
}

/** What is kept beside a chunk. */
export interface ChunkPlace {
  readonly type: FieldType
  /** How many points. */
  readonly count: number
  /** Time of the first one. */
  readonly startMs: number
}

/**
 * Inverse of {@link encodeChunk}; without a seed, of a chunk of format 1. Throws a RangeError when the bytes are not such
 * a chunk.
 */
export function decodeChunk(place: ChunkPlace, bytes: Uint8Array, seed: number | undefined): Run {
  const encoding = bytes[0]
  if (seed !== undefined && !hasChecksum(bytes, seed)) throw new RangeError('the checksum of a chunk differs')
  const rest = bytes.subarray(seed === undefined ? 1 : HEADER_BYTES)
  switch (encoding) {
    case seed === undefined ? OLD_PLAIN : PLAIN:
      return runOf(place, new ByteReader(rest))
    case seed === undefined ? OLD_ZSTD : ZSTD:
      return runOf(place, new ByteReader(unpacked(seed === undefined ? rest : Buffer.concat([ZSTD_MAGIC, rest]))))
    case seed === undefined ? undefined : BITS_BITS:
    case seed === undefined ? undefined : BITS_ZSTD:
      return bitsOf(place, rest, encoding === BITS_ZSTD)
    default:
      throw new RangeError(`unknown encoding of a chunk: ${encoding}`)
  }
}

function runOf({ type, count }: ChunkPlace, from: ByteReader): Run {
  const { ms, ns } = readTimes(from, count)
  return whole({ ms, ns, values: readValues(from, type, count) }, from)
}

function bitsOf({ type, count, startMs }: ChunkPlace, bytes: Uint8Array, isPacked: boolean): Run {
  const from = new ByteReader(bytes)
  const { ms, ns } = readTimes(from, count, BITS, startMs)
  if (!isPacked) return whole({ ms, ns, values: readValues(from, type, count, BITS) }, from)
  const behind = new ByteReader(unpacked(Buffer.concat([ZSTD_MAGIC, from.rest()])))
  return whole({ ms, ns, values: readValues(behind, type, count) }, behind)
}

function whole(run: Run, from: ByteReader): Run {
  if (!from.atEnd) throw new RangeError('a chunk has more than its points')
  return run
}

/** True when a chunk with a checksum is whole. */
export function hasChecksum(bytes: Uint8Array, seed: number): boolean {
  if (bytes.length < HEADER_BYTES) return false
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true) === checksum(bytes, seed)
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
