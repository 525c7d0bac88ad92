import { constants, gunzipSync, inflateSync, zstdDecompressSync, type ZstdOptions } from 'node:zlib'
import { faultOfRecord, type Fault } from '../faults.ts'
import { DEFAULT_POLICY, type Policy } from '../policies/settings.ts'
import { declaredLength } from '../stamps/reservation.ts'

/** Bytes that a compressed payload may hold: 20 ms at most to unpack, as every bomb takes that goes on beyond them. */
export const MAX_UNPACKED_BYTES = 4 * 1024 * 1024
/** Bytes that a frame of zstd may refer back to, as a power of two: 8 MiB, which decoders have to offer [RFC 8878, 3.1.1.1.2]. */
const MAX_WINDOW_LOG = 23

export type Compression = 'gzip' | 'zstd' | 'deflate'

/** Frames may hold so much whatever they declare: some of a stream declare less than they hold together. */
const FREE_BYTES = 16 * 1024
/** Nothing becomes more by deflate. */
const MAX_DEFLATE_RATIO = 1032

type Limits = Pick<ZstdOptions, 'maxOutputLength' | 'info'>

const zstd = { params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } }
const UNPACK: Readonly<Record<Compression, (payload: Uint8Array, limits: Limits) => unknown>> = {
  gzip: gunzipSync,
  zstd: (payload, limits) => zstdDecompressSync(payload, { ...zstd, ...limits }),
  deflate: inflateSync,
}

interface Unpacked {
  readonly buffer: Uint8Array
  readonly engine: { readonly bytesWritten: number }
}

/**
 * How the payload seems to be compressed, by its first bytes. No text and no format that is known here begins with those of
 * gzip and zstd; those of `deflate` (RFC 1950) may be anything, so it is one where nothing else reads it.
 */
export function compressionOf(payload: Uint8Array, { compression }: Policy): Compression | undefined {
  if (compression === 'none') return undefined
  const [a = 0, b = 0, c, d] = payload
  if (a === 0x1f && b === 0x8b && c === 8) return 'gzip'
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return 'zstd'
  return a === 0x78 && (a * 256 + b) % 31 === 0 && (b & 0x20) === 0 ? 'deflate' : undefined
}

/** Bytes that a payload is at most when it is decoded: its own, or what a compressed one may hold. */
export function decodedBytes(payload: Uint8Array): number {
  const first = payload[0]
  if (first !== 0x1f && first !== 0x28 && first !== 0x78) return payload.length
  const compression = compressionOf(payload, DEFAULT_POLICY)
  return compression === undefined ? payload.length : mostBytes(payload, compression)
}

function mostBytes(payload: Uint8Array, compression: Compression): number {
  const declared = compression === 'deflate' ? payload.length * MAX_DEFLATE_RATIO : declaredLength(payload)
  return Math.min(MAX_UNPACKED_BYTES, Math.max(declared, FREE_BYTES))
}

/**
 * What a compressed payload holds, or what is wrong with it: `payload_unpacked_too_large`, `payload_compression_damaged`.
 * Memory and time are bounded by {@link decodedBytes}, however much it would become.
 */
export function unpack(payload: Uint8Array, compression: Compression): Uint8Array | Fault {
  const maxOutputLength = mostBytes(payload, compression)
  try {
    // With `info` the answer says how much of the payload was read; the types do not know of that.
    const { buffer, engine } = UNPACK[compression](payload, { maxOutputLength, info: true }) as Unpacked
    // Firmware in C leaves NULs behind what it sends.
    if (payload.subarray(engine.bytesWritten).every((byte) => byte === 0)) return buffer
    const detail = `${compression}: ${payload.length - engine.bytesWritten} bytes behind its end`
    return faultOfRecord('payload_compression_damaged', detail)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if ('code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
      const detail = `${compression}: more than ${maxOutputLength} bytes`
      if (maxOutputLength === MAX_UNPACKED_BYTES) return faultOfRecord('payload_unpacked_too_large', detail)
      return faultOfRecord('payload_compression_damaged', `${detail}, which is what it declares`)
    }
    return faultOfRecord('payload_compression_damaged', `${compression}: ${error.message}`)
  }
}
