// Invariant: a data folder is the one before a restore until `restore.draft…` is called `restore.ready`, and from then on the
// restored one: whoever opens it first completes what a process that was killed has left.
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError, toSluiceError } from '../errors.ts'
import { makeFolder, PRIVATE, syncFolder } from '../storage/folders.ts'
import { replaceFile } from '../storage/replace-file.ts'
import { fileFault } from '../storage/storage-fault.ts'

const DRAFT = 'restore.draft-'
/** The old files are moved away. */
const READY = 'restore.ready'
/** None of them is left; the new ones are moved to where they belong. */
const MOVING = 'restore.moving'
/** In it: where the old files go. */
const KEEP = 'restore-keeps'
/** What a mounted disk has by itself. */
const NOT_OURS = ['lost+found']

/** A place for a new folder to be made in, within the old one: that may be a mount. Errors: `data_unwritable`, `disk_full`. */
export function makeDraft(folder: string): string {
  return told(folder, () => {
    makeFolder(folder, PRIVATE)
    const draft = join(folder, `${DRAFT}${randomBytes(6).toString('hex')}`)
    makeFolder(draft, PRIVATE)
    return draft
  })
}

/** Names that are no part of the data in a folder: of what was replaced, and of what is being made. */
export function isBesideData(name: string): boolean {
  return name.startsWith(DRAFT) || name === READY || name === MOVING || KEPT.test(name)
}

/** What a restore kept of the folder that it replaced. */
export const KEPT = /^before-restore-/

/**
 * Puts a draft, all of which is durable, in the place of everything in the folder, which is kept in its folder `keptAs`.
 * Nobody else uses the folder. Errors: `data_unwritable`, `disk_full`.
 */
export function swapIn(folder: string, draft: string, keptAs: string): void {
  told(folder, () => {
    replaceFile(join(draft, KEEP), keptAs, 0o600)
    renameSync(draft, join(folder, READY))
    syncFolder(folder)
  })
  finishSwap(folder)
}

/**
 * Completes what {@link swapIn} began, whenever a process was killed in it, and removes drafts that were never whole. To be
 * called before anything else of the folder is looked at. Errors: `data_unwritable`, `disk_full`.
 */
export function finishSwap(folder: string): void {
  if (!existsSync(folder)) return
  told(folder, () => {
    const [ready, moving] = [join(folder, READY), join(folder, MOVING)]
    if (existsSync(ready)) {
      moveOldAway(folder, readFileSync(join(ready, KEEP), 'utf8'))
      renameSync(ready, moving)
      syncFolder(folder)
    }
    if (existsSync(moving)) moveNewUp(folder, moving)
    for (const name of readdirSync(folder)) {
      if (name.startsWith(DRAFT)) rmSync(join(folder, name), { recursive: true, force: true })
    }
  })
}

function moveOldAway(folder: string, keptAs: string): void {
  const old = readdirSync(folder).filter((name) => !isBesideData(name) && !NOT_OURS.includes(name))
  if (old.length === 0) return
  const kept = join(folder, keptAs)
  makeFolder(kept, PRIVATE)
  for (const name of old) renameSync(join(folder, name), join(kept, name))
  syncFolder(kept)
  syncFolder(folder)
}

function moveNewUp(folder: string, moving: string): void {
  for (const name of readdirSync(moving)) {
    if (name !== KEEP) renameSync(join(moving, name), join(folder, name))
  }
  syncFolder(folder)
  rmSync(moving, { recursive: true })
  syncFolder(folder)
}

function told<T>(folder: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const { message } = toSluiceError(error)
    throw new SluiceError(fileFault(error), `restoring in ${folder}: ${message}`, { cause: error })
  }
}
