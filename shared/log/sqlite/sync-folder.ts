import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { platform } from 'node:os'
import { dirname, resolve } from 'node:path'

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

/** Makes a folder and its parents where they are missing; durable on return. */
export function makeFolder(folder: string): void {
  const topmost = mkdirSync(folder, { recursive: true })
  if (topmost === undefined) return
  const end = dirname(resolve(topmost))
  for (let parent = dirname(resolve(folder)); parent.startsWith(end); parent = dirname(parent)) {
    syncFolder(parent)
    if (parent === end) return
  }
}
