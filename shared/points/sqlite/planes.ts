import type { ByteReader, ByteWriter } from './bytes.ts'

/** Eight bytes a value, XORed with the value before, all first bytes first: what is alike lies side by side. */
export function writePlanes(out: ByteWriter, bytes: Uint8Array): void {
  const count = bytes.length / 8
  const planes = new Uint8Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) {
    const plain = (bytes[i] ?? 0) ^ (i < 8 ? 0 : (bytes[i - 8] ?? 0))
    planes[(i % 8) * count + Math.floor(i / 8)] = plain
  }
  out.raw(planes)
}

/** Inverse of {@link writePlanes}. */
export function readPlanes(from: ByteReader, count: number): Uint8Array<ArrayBuffer> {
  const planes = from.raw(count * 8)
  const bytes = new Uint8Array(count * 8)
  for (let i = 0; i < bytes.length; i++) {
    const plain = planes[(i % 8) * count + Math.floor(i / 8)] ?? 0
    bytes[i] = plain ^ (i < 8 ? 0 : (bytes[i - 8] ?? 0))
  }
  return bytes
}
