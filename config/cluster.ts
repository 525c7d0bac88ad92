import {
  integer,
  oneOf,
  optionalText,
  requiredSecret,
  secretReader,
  secretText,
  text,
  type Config,
} from '../shared/config.ts'
import { parseCredentialKey } from '../shared/registry/credentials.ts'
import { brokerSettings } from './broker.ts'
import { drainSeconds } from './listeners.ts'
import { kafkaSettings } from './kafka.ts'
import { pemReader } from './pem-files.ts'
import { ingestWorkerSettings, lingerMs } from './ingest-worker.ts'
import { metricsSettings, OPS_ADDRESS } from './metrics.ts'
import { pointRetentionMs, pointSettings } from './points.ts'
import { queryApiSettings } from './query-api.ts'

/** What every process of a cluster has. */
const processSettings = {
  LOG_LEVEL: oneOf('info', ['trace', 'debug', 'info', 'warn', 'error', 'fatal'], 'Lowest severity that is logged.'),
  OPS_ADDRESS,
  OPS_PORT: integer(8081, 'Port of /healthz, /readyz and /metrics; 0 = chosen by the system.', {
    min: 0,
    max: 65_535,
  }),
  ...metricsSettings,
} as const

/** What every process has that stamps messages. */
const nodeSettings = {
  NODE_ID: optionalText(
    'Name of this process, of its own among those of its service and the same after a restart; host and port when unset.',
  ),
} as const

export const influxSettings = {
  INFLUX_URL: text('http://127.0.0.1:8086', 'Address of InfluxDB 2.'),
  INFLUX_CA_FILE: optionalText('CA certificates that InfluxDB is verified with, PEM; those of the system when unset.'),
  INFLUX_ORG: text('sluice', 'Organisation in InfluxDB.'),
  INFLUX_BUCKET: text('telemetry', 'Bucket of the points; created if it is missing and the token permits it.'),
  INFLUX_SHARD_HOURS: integer(
    0,
    'Hours of points that a shard of the bucket holds from now on: retention drops whole shards. 0: as InfluxDB has it.',
    { min: 0, max: 8_760 },
  ),
  INFLUX_TOKEN: requiredSecret('Token for InfluxDB: the workers write with theirs, the API reads with its own.'),
  ...pointSettings,
} as const

/** What `openInfluxPoints` takes, from the settings. Error: `setting_invalid`. */
export function influxOptions(config: Config<typeof influxSettings>) {
  return {
    url: config.INFLUX_URL,
    org: config.INFLUX_ORG,
    bucket: config.INFLUX_BUCKET,
    token: secretReader('INFLUX_TOKEN', influxSettings.INFLUX_TOKEN),
    retentionMs: pointRetentionMs(config),
    shardMs: config.INFLUX_SHARD_HOURS === 0 ? undefined : config.INFLUX_SHARD_HOURS * 3_600_000,
    ca: pemReader('INFLUX_CA_FILE', config.INFLUX_CA_FILE),
  }
}

const registrySettings = {
  MARIADB_URL: requiredSecret('mariadb://user:password@host:port/database; TLS with ?ssl=true.'),
  MARIADB_CA_FILE: optionalText('CA certificates that MariaDB is verified with, PEM; those of the system when unset.'),
  CREDENTIAL_KEY: requiredSecret('Key of the credential hashes, 32 bytes as base64url; the same in every process.'),
} as const

/** What `openMariadbRegistry` takes, from the settings. Error: `setting_invalid`. */
export function mariadbOptions(config: Config<typeof registrySettings>) {
  return {
    url: secretReader('MARIADB_URL', registrySettings.MARIADB_URL),
    ca: pemReader('MARIADB_CA_FILE', config.MARIADB_CA_FILE),
    credentialKey: parseCredentialKey(config.CREDENTIAL_KEY, 'CREDENTIAL_KEY'),
  }
}

const cacheSettings = {
  REDIS_CACHE_URL: secretText('redis://127.0.0.1:6380', 'Redis of the cache; needs a maxmemory-policy that evicts.'),
  REDIS_CACHE_CA_FILE: optionalText(
    'CA certificates that this Redis is verified with, PEM; those of the system when unset.',
  ),
} as const

/** What `openRedisCache` takes. Error: `setting_invalid`. */
export function redisCacheOptions({ REDIS_CACHE_CA_FILE: ca }: Config<typeof cacheSettings>) {
  return {
    url: secretReader('REDIS_CACHE_URL', cacheSettings.REDIS_CACHE_URL),
    ca: pemReader('REDIS_CACHE_CA_FILE', ca),
  }
}

const sessionsSettings = {
  REDIS_SESSIONS_URL: secretText(
    'redis://127.0.0.1:6379',
    'Redis of the MQTT sessions and of the messages between nodes; needs maxmemory-policy noeviction and appendonly yes.',
  ),
  REDIS_SESSIONS_CA_FILE: optionalText(
    'CA certificates that this Redis is verified with, PEM; those of the system when unset.',
  ),
} as const

/** What `openRedisLink` and `openBrokerNodes` take. Error: `setting_invalid`. */
export function redisSessionsOptions({ REDIS_SESSIONS_CA_FILE: ca }: Config<typeof sessionsSettings>) {
  return {
    url: secretReader('REDIS_SESSIONS_URL', sessionsSettings.REDIS_SESSIONS_URL),
    ca: pemReader('REDIS_SESSIONS_CA_FILE', ca),
  }
}

/** What commands need that look after the topics: those of any process. */
export const topicSettings = { ...kafkaSettings, ...registrySettings }

export const brokerProcessSettings = {
  ...brokerSettings,
  ...nodeSettings,
  DRAIN_SECONDS: drainSeconds(5),
  ...processSettings,
  ...kafkaSettings,
  ...registrySettings,
  ...sessionsSettings,
}

export const ingestWorkerProcessSettings = {
  ...ingestWorkerSettings,
  INGEST_LINGER_MS: lingerMs(50),
  ...processSettings,
  ...kafkaSettings,
  ...registrySettings,
  ...influxSettings,
  ...cacheSettings,
}

export const queryApiProcessSettings = {
  ...queryApiSettings,
  ...nodeSettings,
  ...processSettings,
  ...kafkaSettings,
  ...registrySettings,
  ...influxSettings,
  ...cacheSettings,
  ...sessionsSettings,
  ADMIN_TOKEN: requiredSecret('API key of the administrator, chosen by you.'),
  MQTT_ADDRESS: optionalText('host:port that devices connect to; shown on the page and used by the commands.'),
}
