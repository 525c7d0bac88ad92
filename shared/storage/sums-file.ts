import { readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { sizeOf, syncFolder } from './folders.ts'
import { replaceFile } from './replace-file.ts'
import { storageFault } from './storage-fault.ts'

/** The checksums of a database's pages, in a file beside it. Before them: "SLSM", format, CRC-32 of the sums. */
const HEADER_BYTES = 12
const MAGIC = 0x534c534d
const FORMAT = 1
const MODE = 0o600

/** Of each page, from the first on; undefined when there are none, or what is there is no list of sums. */
export function readSums(file: string): Uint32Array | undefined {
  const path = `${file}-sums`
  const bytes = sizeOf(path) === 0 ? Buffer.alloc(0) : readFileSync(path)
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC || bytes.readUInt32BE(4) !== FORMAT)
    return undefined
  const sums = Uint8Array.from(bytes.subarray(HEADER_BYTES))
  if (crc32(sums) !== bytes.readUInt32BE(8) || sums.length % 4 !== 0) return undefined
  return new Uint32Array(sums.buffer)
}

/** Rather no sums than old ones, when there is no room for new ones. Throws what the file system says. */
export function writeSums(file: string, sums: Uint32Array): void {
  const bytes = Buffer.from(sums.buffer, sums.byteOffset, sums.byteLength)
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(MAGIC, 0)
  header.writeUInt32BE(FORMAT, 4)
  header.writeUInt32BE(crc32(bytes), 8)
  try {
    replaceFile(`${file}-sums`, Buffer.concat([header, bytes]), MODE)
  } catch (error) {
    forgetSums(file)
    if (storageFault(error) !== 'disk_full') throw error
  }
}

/** Removes the sums: older than the database they would accuse it. */
export function forgetSums(file: string): void {
  rmSync(`${file}-sums`, { force: true })
  syncFolder(dirname(file))
}
