/**
 * CRC-32C (Castagnoli) of a range of bytes, as record batches carry it: four bytes a step ("slicing by 4").
 * Source: Kafka protocol guide, "Record Batch"; polynomial 0x1EDC6F41, reflected.
 */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  let crc = -1
  let at = start
  for (; at + 4 <= end; at += 4) {
    crc ^= byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24)
    crc =
      entry(768 + (crc & 255)) ^
      entry(512 + ((crc >>> 8) & 255)) ^
      entry(256 + ((crc >>> 16) & 255)) ^
      entry(crc >>> 24)
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ entry((crc ^ byte(bytes, at)) & 255)
  return ~crc >>> 0
}

/** Four tables of 256 entries: table k advances a byte by k further bytes. */
const TABLES = makeTables()

function makeTables(): Int32Array {
  const tables = new Int32Array(1024)
  for (let value = 0; value < 256; value++) {
    let crc = value
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    tables[value] = crc
  }
  for (let i = 256; i < 1024; i++) {
    const before = tables[i - 256] ?? 0
    tables[i] = (before >>> 8) ^ (tables[before & 255] ?? 0)
  }
  return tables
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}

function entry(index: number): number {
  return TABLES[index] ?? 0
}
