import { join } from 'node:path'
import { loadApiKey } from '../../shared/registry/credentials.ts'
import type { NewCredentials } from '../../shared/registry/names.ts'
import type { Registry } from '../../shared/registry/port.ts'

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
 * Makes the key in DATA_DIR/admin-token the administrator's (whoever may write there is one; a file that was removed is
 * made again with another key), and the first device when the registry is new. Errors: those of `loadApiKey`.
 */
export async function firstStart(registry: Registry, folder: string): Promise<FirstStart> {
  const tokenFile = join(folder, 'admin-token')
  const token = loadApiKey(tokenFile)
  const isNew = await registry.setAdminKey(token)
  const [device] = isNew ? await registry.createDevices([FIRST_DEVICE]) : []
  return { tokenFile, token, device }
}
