import { secret } from '../shared/config.ts'
import { ingestWorkerProcessSettings } from './cluster.ts'

/** Settings of `migrate`: those of a worker, which reaches everything that is moved to. */
export const migrateSettings = {
  ...ingestWorkerProcessSettings,
  CREDENTIAL_KEY: secret(
    'Key of the credential hashes, which must be the one of the data folder; that one when unset.',
  ),
} as const
