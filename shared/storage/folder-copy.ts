import { constants, copyFileSync, linkSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder, PRIVATE, syncFile, syncFolder } from './folders.ts'

export interface FolderCopy {
  /** Bytes that were copied, and those of files that both folders share. */
  readonly copied: number
  readonly shared: number
}

export interface FolderCopyOptions {
  /** Paths within the folder, with `/`, that are no part of the copy. */
  readonly skip: (path: string) => boolean
  /** Files that are never changed in place, or by whoever calls {@link unshare} first: a second name will do. */
  readonly isShared: (path: string) => boolean
}

/** What an attempt that was killed leaves behind. */
const DRAFT = '.draft'

/**
 * Copies a folder that nobody writes to: all of it, durable, or nothing. Throws what the file system says.
 */
export function copyFolder(from: string, to: string, options: FolderCopyOptions): FolderCopy {
  const draft = `${to}${DRAFT}`
  rmSync(draft, { recursive: true, force: true })
  try {
    const done = copyInto(from, draft, '', options)
    renameSync(draft, to)
    syncFolder(dirname(to))
    return done
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    throw error
  }
}

function copyInto(from: string, to: string, path: string, options: FolderCopyOptions): FolderCopy {
  let [copied, shared] = [0, 0]
  makeFolder(join(to, path), PRIVATE)
  for (const name of readdirSync(join(from, path))) {
    const below = path === '' ? name : `${path}/${name}`
    if (options.skip(below)) continue
    // Through links: a part of the data may lie on a disk of its own.
    const stat = statSync(join(from, below))
    if (stat.isDirectory()) {
      const part = copyInto(from, to, below, options)
      copied += part.copied
      shared += part.shared
    } else if (stat.isFile()) {
      if (options.isShared(below) && link(join(from, below), join(to, below))) shared += stat.size
      else {
        copyDurably(join(from, below), join(to, below))
        copied += stat.size
      }
    }
  }
  syncFolder(join(to, path))
  return { copied, shared }
}

/** False where the file system has no second names, or the other one is on another disk. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EXDEV' || code === 'EPERM' || code === 'ENOTSUP' || code === 'EMLINK' || code === 'ENOSYS')
      return false
    throw error
  }
}

/** A second name for a file that is never changed in place, or a durable copy of it. Throws what the file system says. */
export function shareFile(from: string, to: string): void {
  if (!link(from, to)) copyDurably(from, to)
}

/** A file that has other names gets contents of its own before it is changed. Throws what the file system says. */
export function unshare(file: string): void {
  if ((statSync(file, { throwIfNoEntry: false })?.nlink ?? 1) < 2) return
  const draft = `${file}${DRAFT}`
  copyDurably(file, draft)
  renameSync(draft, file)
  syncFolder(dirname(file))
}

function copyDurably(from: string, to: string): void {
  copyFileSync(from, to, constants.COPYFILE_FICLONE)
  syncFile(to)
}
