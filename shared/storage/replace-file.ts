import { chmodSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncFolder } from './folders.ts'

/**
 * Gives a file new contents and this mode: whole or not at all, whoever reads it meanwhile, and durable on return.
 * Throws what the file system says.
 */
export function replaceFile(file: string, contents: string | Uint8Array, mode: number): void {
  const draft = `${file}.new`
  writeFileSync(draft, contents, { mode, flush: true })
  // A draft that an earlier attempt left keeps its own mode.
  chmodSync(draft, mode)
  renameSync(draft, file)
  syncFolder(dirname(file))
}
