import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { FieldType } from '../../telemetry.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { readTimes, readValues, writeTimes, writeValues, type Run } from './columns.ts'

/** First byte of a chunk: how the rest is kept. */
const PLAIN = 1
const ZSTD = 2

/** Below this zstd's own header eats what it saves, and setting it up takes longer than the rest of a small chunk. */
const LEAST_ZSTD = 128

/**
 * Points of one series as one blob: times as differences of differences, values by type, then zstd where that is
 * smaller. Reading gives back the same bits. How many points it holds and of what type is kept beside it.
 */
export function encodeChunk(type: FieldType, run: Run): Uint8Array {
  const out = new ByteWriter()
  out.byte(PLAIN)
  writeTimes(out, run)
  writeValues(out, type, run.values)
  const plain = out.finish()
  if (plain.length < LEAST_ZSTD) return plain.slice()
  const packed = zstdCompressSync(plain.subarray(1))
  if (packed.length + 1 >= plain.length) return plain
  const bytes = new Uint8Array(packed.length + 1)
  bytes[0] = ZSTD
  bytes.set(packed, 1)
  return bytes
}

/** Inverse of {@link encodeChunk}. Throws when the bytes are not such a chunk. */
export function decodeChunk(type: FieldType, count: number, bytes: Uint8Array): Run {
  const kind = bytes[0]
  if (kind !== PLAIN && kind !== ZSTD) throw new RangeError(`unknown kind of chunk ${kind}`)
  const rest = bytes.subarray(1)
  const from = new ByteReader(kind === ZSTD ? zstdDecompressSync(rest) : rest)
  const { ms, ns } = readTimes(from, count)
  return { ms, ns, values: readValues(from, type, count) }
}
