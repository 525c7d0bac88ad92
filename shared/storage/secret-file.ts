import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { SluiceError, toSluiceError } from '../errors.ts'
import { fileFault } from './storage-fault.ts'
import { makeFolder, PRIVATE, syncFolder } from './folders.ts'

/**
 * The text of a file that holds one secret, without white space at its ends. When there is no such file it is made with
 * mode 0600: complete and durable or not at all, and of two processes that start at once both get the same. A mode that
 * lets others read it is corrected. Errors: `data_unwritable`, `disk_full`.
 */
export function loadOrMakeSecretFile(path: string, make: () => string): string {
  try {
    return read(path) ?? create(path, make())
  } catch (error) {
    throw new SluiceError(fileFault(error), `${path}: ${toSluiceError(error).message}`, { cause: error })
  }
}

/** Makes a file of its own, complete and durable. Errors: `already_exists`, `data_unwritable`, `disk_full`. */
export function storeNew(path: string, text: string, mode: number): void {
  try {
    writeFileSync(path, text, { mode, flag: 'wx', flush: true })
    syncFolder(dirname(path))
  } catch (error) {
    const code = isSystemError(error, 'EEXIST') ? 'already_exists' : fileFault(error)
    throw new SluiceError(code, `${path}: ${toSluiceError(error).message}`, { cause: error })
  }
}

function read(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim()
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600)
    return text
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
}

function create(path: string, secret: string): string {
  const folder = dirname(path)
  makeFolder(folder, PRIVATE)
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(draft, `${secret}\n`, { mode: 0o600, flag: 'wx', flush: true })
    linkSync(draft, path)
  } catch (error) {
    // Somebody else was faster: theirs is the one.
    if (!isSystemError(error, 'EEXIST')) throw error
  } finally {
    rmSync(draft, { force: true })
  }
  syncFolder(folder)
  return readFileSync(path, 'utf8').trim()
}

function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
