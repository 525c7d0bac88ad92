import { closeSync, fsyncSync, openSync } from 'node:fs'
import { platform } from 'node:os'

/** Makes new and removed entries of a folder durable. Windows has no such thing: its file systems journal them. */
export function syncFolder(folder: string): void {
  if (platform() === 'win32') return
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
