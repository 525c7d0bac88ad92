import { createWriteStream, existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import type { KeyObject } from 'node:crypto'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { readBackup, type TakePart } from '../../../shared/backup/backup-reader.ts'
import { finishSwap, isBesideData, makeDraft, swapIn } from '../../../shared/backup/folder-swap.ts'
import type { BackupManifest } from '../../../shared/backup/manifest.ts'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import { makeFolder, PRIVATE, syncFile, syncFolder } from '../../../shared/storage/folders.ts'
import { fileFault } from '../../../shared/storage/storage-fault.ts'
import { throwIfRunning } from '../doctor/data-files.ts'

export interface RestoreOptions<T> {
  readonly file: string
  readonly identity: KeyObject | undefined
  /** The data folder: absent, empty, or to be replaced. */
  readonly folder: string
  readonly replace: boolean
  /** What is to be done in the draft before it takes the place of `old`; undefined where that has no data. */
  readonly prepare: (draft: string, manifest: BackupManifest, old: string | undefined) => Promise<T>
  readonly onProgress: (text: () => string) => void
}

export interface Restored<T> {
  readonly manifest: BackupManifest
  readonly prepared: T
  /** Where the data are that were there before. */
  readonly kept: string | undefined
}

/**
 * Puts a backup into a data folder: what is there stays as it is until all of the backup was read, found whole, prepared and
 * is durable beside it. Errors: `backup_unreadable`, `data_newer`, `already_exists` for a folder with data, `data_locked`
 * for one in use, `disk_full`, `data_unwritable`, those of `prepare`.
 */
export async function restoreFolder<T>(options: RestoreOptions<T>): Promise<Restored<T>> {
  const { file, identity, folder, replace, prepare, onProgress } = options
  throwIfRunning(folder)
  finishSwap(folder)
  const hasData = namesOf(folder).length > 0
  if (hasData && !replace) {
    const orElse = 'restore into another folder, or say --replace to keep its data in a folder below it'
    throw new SluiceError('already_exists', `${folder} is not empty: ${orElse}`)
  }
  const draft = makeDraft(folder)
  try {
    const manifest = await readBackup(file, identity, writeInto(draft, onProgress))
    const prepared = await prepare(draft, manifest, hasData ? folder : undefined)
    syncAll(draft)
    throwIfRunning(folder)
    const keptAs = `before-restore-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`
    swapIn(folder, draft, keptAs)
    return { manifest, prepared, kept: hasData ? join(folder, keptAs) : undefined }
  } catch (error) {
    // What was renamed already is completed by whoever opens the folder next.
    rmSync(draft, { recursive: true, force: true })
    throw error
  }
}

/** Writes each part as it comes; durable when all of them are synced. */
function writeInto(draft: string, onProgress: RestoreOptions<unknown>['onProgress']): TakePart {
  let written = 0
  return async (part, content) => {
    const path = join(draft, part.name)
    try {
      makeFolder(dirname(path), PRIVATE)
      await pipeline(Readable.from(content), createWriteStream(path, { flags: 'wx', mode: 0o600 }))
    } catch (error) {
      if (error instanceof SluiceError) throw error
      throw new SluiceError(fileFault(error), `${path}: ${toSluiceError(error).message}`, { cause: error })
    }
    written += part.bytes
    onProgress(() => `Read and compared ${(written / 1e6).toFixed(1)} MB`)
  }
}

function namesOf(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder).filter((name) => !isBesideData(name) && name !== 'lost+found')
}

function syncAll(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) syncAll(path)
    else syncFile(path)
  }
  syncFolder(folder)
}
