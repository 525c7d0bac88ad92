import { integer, oneOf, optionalText, secret, text, type Config } from '../shared/config.ts'
import { brokerSettings } from './broker.ts'
import { ingestWorkerSettings } from './ingest-worker.ts'
import { queryApiSettings } from './query-api.ts'

/** Settings of the one-process deployment: those of its services and what belongs to the process. */
export const standaloneSettings = {
  ...brokerSettings,
  ...ingestWorkerSettings,
  ...queryApiSettings,
  DATA_DIR: text('./data', 'Folder of everything that is kept.'),
  LOG_LEVEL: oneOf('info', ['trace', 'debug', 'info', 'warn', 'error', 'fatal'], 'Least severe level that is logged.'),
  CREDENTIAL_KEY: secret('Key of the credential hashes, 32 bytes in base64url; made in DATA_DIR when unset.'),
  LOG_PARTITIONS: integer(1, 'Partitions of the log; fixed when the log is made.', { min: 1, max: 64 }),
  LOG_RETENTION_HOURS: integer(24, 'How long stored records stay in the log for replay.', { min: 1, max: 87_600 }),
  LOG_RETENTION_MB: integer(4096, 'Size of the log at which stored records go early; unstored ones never go.', {
    min: 64,
    max: 16_777_216,
  }),
  CACHE_ENTRIES: integer(50_000, 'Latest values kept in memory for the API, about 1 KB each.', {
    min: 0,
    max: 10_000_000,
  }),
  PUBLIC_URL: optionalText('Address that the printed page link uses, when it is not the listener itself.'),
} as const

export type StandaloneConfig = Config<typeof standaloneSettings>
