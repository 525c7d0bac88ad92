import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { storageFault } from './storage-fault.ts'

const PROBE_BYTES = 64 * 1024

/**
 * Whether a file in the folder finds no room at `reached` bytes: writes a little there, because the system's own error
 * number is hidden by SQLite, which says "I/O error" of a quota, a size limit, and a file that could not be made.
 */
export function hasNoSpace(folder: string, reached = 0): boolean {
  const file = join(folder, 'space-probe')
  try {
    const descriptor = openSync(file, 'w')
    try {
      writeSync(descriptor, Buffer.alloc(PROBE_BYTES, 1), 0, PROBE_BYTES, reached)
    } finally {
      closeSync(descriptor)
      rmSync(file)
    }
    return false
  } catch (error) {
    return storageFault(error) === 'disk_full'
  }
}
