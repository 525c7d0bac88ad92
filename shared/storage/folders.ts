import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { SluiceError, toSluiceError } from '../errors.ts'
import { fileFault } from './storage-fault.ts'

/** A folder that only this user may enter. */
export const PRIVATE = 0o700

/** Of a file, in bytes; 0 when it is absent. */
export function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

/** Makes what was written to a file durable. Throws what the file system says. */
export function syncFile(file: string): void {
  const descriptor = openSync(file, 'r+')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Makes new, renamed and removed entries of a folder durable. Windows has no such call: NTFS journals them. */
export function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Makes a folder, and the folders above it that are missing, all with `mode`. On return each of them survives a power
 * cut: its entry in its parent is synced, up to the first folder that existed. Throws what the file system says.
 */
export function makeFolder(folder: string, mode?: number): void {
  const path = resolve(folder)
  if (isFolder(path)) return
  const parent = dirname(path)
  // One at a time, not `recursive`: below /proc, where nothing can be made, Node 26 repeats that without end.
  if (parent !== path) makeFolder(parent, mode)
  makeOne(path, mode)
  syncFolder(parent)
}

/** {@link makeFolder} for this user only, and only if files can be made in it. Errors: `data_unwritable`, `disk_full`. */
export function makePrivateFolder(folder: string): string {
  try {
    makeFolder(folder, PRIVATE)
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new SluiceError(fileFault(error), `cannot use ${folder}: ${toSluiceError(error).message}`, { cause: error })
  }
  return folder
}

/** Takes what others may do with the files below a folder away: those of an earlier version had the mode of the day. */
export function makeFilesPrivate(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const mode = entry.isFile() ? (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) : 0
    if ((mode & 0o077) !== 0) chmodSync(path, mode & 0o700)
  }
}

/** Another process may make it at the same moment. */
function makeOne(path: string, mode: number | undefined): void {
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    if (!isFolder(path)) throw error
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
