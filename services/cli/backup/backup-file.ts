import type { KeyObject } from 'node:crypto'
import { createWriteStream, existsSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { onlyCheck, readBackup } from '../../../shared/backup/backup-reader.ts'
import type { BackupManifest } from '../../../shared/backup/manifest.ts'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import { syncFolder } from '../../../shared/storage/folders.ts'
import { fileFault } from '../../../shared/storage/storage-fault.ts'

export interface StoredBackup {
  readonly file: string
  readonly bytes: number
  readonly manifest: BackupManifest
}

/** Where a backup goes, which must not be there yet. Error: `already_exists`. */
export function newBackupFile(path: string): string {
  const file = resolve(path)
  if (!existsSync(file)) return file
  throw new SluiceError('already_exists', `${file} is there already: a backup never takes the place of another file`)
}

/**
 * Stores a backup as it comes, for this user only: under another name until it is durable, was read back with `identity`
 * and is whole. Errors: `backup_unreadable`, `disk_full`, `data_unwritable`, that of the stream.
 */
export async function storeBackup(
  bytes: Readable,
  file: string,
  identity: KeyObject | undefined,
): Promise<StoredBackup> {
  const part = `${file}.part`
  try {
    rmSync(part, { force: true })
    await pipeline(bytes, createWriteStream(part, { flags: 'wx', mode: 0o600, flush: true }))
    const manifest = await readBackup(part, identity, onlyCheck)
    renameSync(part, file)
    syncFolder(dirname(file))
    return { file, bytes: statSync(file).size, manifest }
  } catch (error) {
    rmSync(part, { force: true })
    throw toFileError(file, error)
  }
}

function toFileError(file: string, error: unknown): SluiceError {
  if (error instanceof SluiceError) return error
  const { message } = toSluiceError(error)
  const isOfFile = error instanceof Error && 'syscall' in error && 'path' in error
  if (isOfFile) return new SluiceError(fileFault(error), `${file}: ${message}`, { cause: error })
  return new SluiceError('command_failed', `the backup broke off, and nothing was stored: ${message}`, { cause: error })
}
