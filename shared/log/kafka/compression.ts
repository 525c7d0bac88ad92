import { createRequire } from 'node:module'
import { constants, gunzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type * as Lz4 from 'lz4-napi'
import type * as Snappy from 'snappy'

/**
 * The records of a batch may be packed by whoever produced them: a mirror, a connector, a tool. Sluice packs with zstd, where
 * it is told to.
 * Source: Kafka's record batch, attributes, bits 0 to 2; the frame format of LZ4; snappy-java's `SnappyOutputStream`.
 */
export const MAX_UNPACKED_BYTES = 32 * 1024 * 1024

// Loaded by the first batch that needs them: nearly no Sluice ever does.
const require = createRequire(import.meta.url)

export const ZSTD = 4
/** What is saved of less is nothing beside the head of a batch. */
const LEAST_BYTES = 256
/** The fastest one: more of them costs more time than it saves room. */
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

type Unpack = (packed: Buffer) => Buffer

const CODECS: Readonly<Record<number, Unpack>> = {
  1: (packed) => gunzipSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES }),
  2: unpackSnappy,
  3: unpackLz4,
  [ZSTD]: (packed) => zstdDecompressSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES }),
}

/**
 * What was packed with a codec of Kafka. Throws, with a reason for a person, when it is damaged, unknown, or larger than
 * {@link MAX_UNPACKED_BYTES}: a megabyte may stand for a gigabyte.
 */
export function unpack(codec: number, packed: Buffer): Buffer {
  const unpackOne = CODECS[codec]
  if (unpackOne === undefined) throw new Error(`compression ${codec} is not known`)
  return unpackOne(packed)
}

/** Undefined when it would be no smaller. */
export function zstd(records: Buffer): Buffer | undefined {
  if (records.length < LEAST_BYTES) return undefined
  const packed = zstdCompressSync(records, LEVEL)
  return packed.length < records.length ? packed : undefined
}

const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
const XERIAL_BYTES = 16

/** One block, or several behind their lengths, as Java writes it. */
function unpackSnappy(packed: Buffer): Buffer {
  const { uncompressSync } = require('snappy') as typeof Snappy
  const blocks = packed.subarray(0, XERIAL.length).equals(XERIAL) ? [...blocksOf(packed)] : [packed]
  checkSize(blocks.reduce((sum, block) => sum + snappySize(block), 0))
  return Buffer.concat(blocks.map((block) => Buffer.from(uncompressSync(block, { asBuffer: true }))))
}

function* blocksOf(packed: Buffer): Generator<Buffer> {
  for (let at = XERIAL_BYTES; at < packed.length;) {
    const end = at + 4 + packed.readUInt32BE(at)
    if (end > packed.length) throw new RangeError('a block of snappy is cut off')
    yield packed.subarray(at + 4, end)
    at = end
  }
}

/** What a block says of itself: a varint at its beginning. */
function snappySize(block: Buffer): number {
  let size = 0
  for (let i = 0, scale = 1; i < 5; i += 1, scale *= 128) {
    const byte = block[i] ?? 0
    size += (byte & 127) * scale
    if (byte < 128) break
  }
  return size
}

const LZ4_MAX_BLOCK: Readonly<Record<number, number>> = { 4: 65_536, 5: 262_144, 6: 1_048_576, 7: 4_194_304 }
/** No block of LZ4 becomes larger than this many times its bytes. */
const LZ4_MOST = 255

function unpackLz4(packed: Buffer): Buffer {
  checkSize(lz4Bound(packed))
  const { decompressFrameSync } = require('lz4-napi') as typeof Lz4
  return decompressFrameSync(packed)
}

/** The most that a frame can hold: its library knows no bound. */
function lz4Bound(frame: Buffer): number {
  const flags = frame.readUInt8(4)
  const largest = LZ4_MAX_BLOCK[(frame.readUInt8(5) >> 4) & 7] ?? Infinity
  // Behind magic, flags and block size: the content's size, the dictionary, a byte of checksum.
  let at = 6 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4) + 1
  const behind = (flags & 16) === 0 ? 0 : 4
  let bound = 0
  for (let size = frame.readUInt32LE(at); size !== 0; size = frame.readUInt32LE(at)) {
    const isPlain = size >= 0x8000_0000
    const bytes = isPlain ? size - 0x8000_0000 : size
    bound += isPlain ? bytes : Math.min(largest, bytes * LZ4_MOST)
    at += 4 + bytes + behind
  }
  return bound
}

function checkSize(bytes: number): void {
  if (bytes > MAX_UNPACKED_BYTES) throw new RangeError(`unpacked it may be larger than ${MAX_UNPACKED_BYTES} bytes`)
}
