import { secret } from '../shared/config.ts'
import { ingestWorkerProcessSettings } from './cluster.ts'

/** Settings of `migrate`: those of a worker, which reaches everything that is moved to. */
export const migrateSettings = {
  ...ingestWorkerProcessSettings,
  CREDENTIAL_KEY: secret(
    'Key of the credential hashes; must be that of the data folder, and is read from there when unset.',
  ),
} as const
