import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../shared/errors.ts'
import type { NewCredentials, Registry } from '../../shared/registry/port.ts'

/** The device that a first start makes, so that the first reading needs no set-up. */
export const FIRST_DEVICE = { tenant: 'demo', device: 'first' }

export interface FirstStart {
  /** Where the API key of the administrator is; mode 0600. */
  readonly tokenFile: string
  readonly token: string
  /** Credentials of demo/first, on the very first start only: the registry keeps no secret. */
  readonly device: NewCredentials | undefined
}

/**
 * Makes the administrator's key and the first device when the registry is new, and finds the key otherwise.
 * Error: `not_found` when the key file was removed.
 */
export async function firstStart(registry: Registry, folder: string): Promise<FirstStart> {
  const tokenFile = join(folder, 'admin-token')
  const created = await registry.ensureAdminKey()
  if (created === undefined) return { tokenFile, token: readToken(tokenFile), device: undefined }
  writeFileSync(tokenFile, `${created}\n`, { mode: 0o600 })
  const [device] = await registry.createDevices([FIRST_DEVICE])
  return { tokenFile, token: created, device }
}

function readToken(file: string): string {
  if (!existsSync(file)) {
    throw new SluiceError('not_found', `${file} is gone, and the registry keeps only a hash of it; restore the file`)
  }
  return readFileSync(file, 'utf8').trim()
}
