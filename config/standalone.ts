import { integer, oneOf, optionalText, secret, text, type Config, type Setting } from '../shared/config.ts'
import { parseReserve } from '../shared/storage/disk-reserve.ts'
import { brokerSettings } from './broker.ts'
import { deadLetterSettings } from './dead-letters.ts'
import { ingestWorkerSettings } from './ingest-worker.ts'
import { optionalPort } from './listeners.ts'
import { OPS_ADDRESS } from './metrics.ts'
import { pointSettings } from './points.ts'
import { queryApiSettings } from './query-api.ts'

/** Settings of the one-process deployment: those of its services and what belongs to the process. */
export const standaloneSettings = {
  ...brokerSettings,
  ...ingestWorkerSettings,
  ...queryApiSettings,
  DATA_DIR: text('./data', 'Folder of all data.'),
  LOG_LEVEL: oneOf('info', ['trace', 'debug', 'info', 'warn', 'error', 'fatal'], 'Lowest severity that is logged.'),
  CREDENTIAL_KEY: secret('Key of the credential hashes, 32 bytes as base64url; created in DATA_DIR when unset.'),
  LOG_PARTITIONS: integer(1, 'Partitions of the log; fixed when the log is created.', { min: 1, max: 64 }),
  LOG_RETENTION_HOURS: integer(24, 'Hours that stored records stay in the log for replay.', { min: 1, max: 87_600 }),
  LOG_RETENTION_MB: integer(
    4096,
    'Size of the log, in MiB, above which stored records are deleted early; unstored ones never are.',
    {
      min: 64,
      max: 16_777_216,
    },
  ),
  ...deadLetterSettings,
  DISK_RESERVE: diskReserve(),
  ...pointSettings,
  POINT_READERS: integer(1, 'Threads that unpack stored points for queries of many series.', { min: 1, max: 16 }),
  CACHE_ENTRIES: integer(50_000, 'Latest values kept in memory for the API, about 1 KB each.', {
    min: 0,
    max: 10_000_000,
  }),
  OPS_ADDRESS,
  OPS_PORT: optionalPort(
    'Port of /healthz, /readyz and /metrics on a listener of their own, which clients cannot fill; off when unset.',
  ),
  PUBLIC_URL: optionalText('Address for the printed link to the page, if it differs from the listener.'),
} as const

function diskReserve(): Setting<string | undefined> {
  const about =
    'Free space of each disk with data below which nothing is taken in, such as 500MB or 5%; when unset 5 %, at most 1GB.'
  return {
    default: undefined,
    about,
    parse(value) {
      parseReserve(value)
      return value
    },
  }
}

export type StandaloneConfig = Config<typeof standaloneSettings>
