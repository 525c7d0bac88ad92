import { readFileSync } from 'node:fs'
import { SluiceError, toSluiceError } from '../shared/errors.ts'

/**
 * Reads a file of certificates anew at each call; while it cannot be read, as when it is being replaced, it is what it was.
 * Undefined without a path. Error, now and never later: `setting_invalid`, with the setting's name.
 */
export function pemReader(name: string, path: string | undefined): (() => string) | undefined {
  if (path === undefined) return undefined
  let last = readPem(name, path)
  return () => {
    try {
      last = readPem(name, path)
    } catch (error) {
      if (toSluiceError(error).code !== 'setting_invalid') throw error
    }
    return last
  }
}

function readPem(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new SluiceError('setting_invalid', `${name}: ${toSluiceError(error).message}`, { cause: error })
  }
}
