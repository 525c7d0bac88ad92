import { constants, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { faultOfRecord, type Fault } from '../faults.ts'
import type { Policy } from '../policies/settings.ts'

/** Bytes that a compressed payload may hold: 20 ms at most to unpack, as every bomb takes that goes on beyond them. */
export const MAX_UNPACKED_BYTES = 4 * 1024 * 1024
/** Bytes that a frame of zstd may refer back to, as a power of two: 8 MiB, which decoders have to offer [RFC 8878, 3.1.1.1.2]. */
const MAX_WINDOW_LOG = 23

export type Compression = 'gzip' | 'zstd' | 'deflate'

const limits = { maxOutputLength: MAX_UNPACKED_BYTES, info: true } as const
const zstd = { ...limits, params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } }
const UNPACK: Readonly<Record<Compression, (payload: Uint8Array) => unknown>> = {
  gzip: (payload) => gunzipSync(payload, limits),
  zstd: (payload) => zstdDecompressSync(payload, zstd),
  deflate: (payload) => inflateSync(payload, limits),
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

/**
 * What a compressed payload holds, or what is wrong with it: `payload_unpacked_too_large`, `payload_compression_damaged`.
 * Memory and time are bounded by {@link MAX_UNPACKED_BYTES}, however much it would become.
 */
export function unpack(payload: Uint8Array, compression: Compression): Uint8Array | Fault {
  try {
    // With `info` the answer says how much of the payload was read; the types do not know of that.
    const { buffer, engine } = UNPACK[compression](payload) as { buffer: Uint8Array; engine: { bytesWritten: number } }
    // Firmware in C leaves NULs behind what it sends.
    if (payload.subarray(engine.bytesWritten).every((byte) => byte === 0)) return buffer
    const detail = `${compression}: ${payload.length - engine.bytesWritten} bytes behind its end`
    return faultOfRecord('payload_compression_damaged', detail)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if ('code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
      return faultOfRecord('payload_unpacked_too_large', `${compression}: more than ${MAX_UNPACKED_BYTES} bytes`)
    }
    return faultOfRecord('payload_compression_damaged', `${compression}: ${error.message}`)
  }
}
