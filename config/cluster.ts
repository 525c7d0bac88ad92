import { readFileSync } from 'node:fs'
import {
  integer,
  oneOf,
  optionalText,
  requiredSecret,
  secret,
  secretReader,
  secretText,
  text,
  type Config,
  type Setting,
} from '../shared/config.ts'
import { SluiceError, toSluiceError } from '../shared/errors.ts'
import { parseCredentialKey } from '../shared/registry/credentials.ts'
import { brokerSettings } from './broker.ts'
import { drainSeconds } from './listeners.ts'
import { ingestWorkerSettings, lingerMs } from './ingest-worker.ts'
import { metricsSettings, OPS_ADDRESS } from './metrics.ts'
import { pointRetentionMs, pointSettings } from './points.ts'
import { queryApiSettings } from './query-api.ts'

/** `host:port`, separated by commas. */
const addresses = (about: string): Setting<readonly string[]> => ({
  default: ['127.0.0.1:9092'],
  about,
  parse(value) {
    const list = value.split(',').map((entry) => entry.trim())
    const wrong = list.find((entry) => !/^[^\s:]+:\d{1,5}$|^\[[^\]]+\]:\d{1,5}$/.test(entry))
    if (wrong !== undefined) throw new Error(`"${wrong}" is not host:port`)
    return list
  },
})

/** As Kafka names topics and groups. */
const kafkaName = (longest: number, about: string): Setting<string> => ({
  default: '',
  about,
  parse(value) {
    if (value.length > longest) throw new Error(`longer than ${longest} characters`)
    if (!/^[A-Za-z0-9._-]*$/.test(value)) throw new Error('only letters, digits, ".", "_" and "-" may be in it')
    return value
  },
})

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

const kafkaSettings = {
  KAFKA_BROKERS: addresses('Kafka brokers, host:port separated by commas.'),
  KAFKA_TLS: oneOf('off', ['off', 'on'], 'Whether to connect to Kafka over TLS.'),
  KAFKA_CA_FILE: optionalText('CA certificates that Kafka is verified with, PEM; those of the system when unset.'),
  KAFKA_CERTIFICATE_FILE: optionalText('Client certificate of this process for Kafka, PEM.'),
  KAFKA_CERTIFICATE_KEY: secret('Private key of that certificate, PEM.'),
  KAFKA_SASL: oneOf('none', ['none', 'plain', 'scram-sha-256', 'scram-sha-512'], 'How to log in to Kafka.'),
  KAFKA_USERNAME: optionalText('Username for Kafka.'),
  KAFKA_PASSWORD: secret('Password for Kafka; a file is re-read at each login.'),
  KAFKA_MANAGE_TOPICS: oneOf(
    'on',
    ['on', 'off'],
    'Whether topics are made, and given retention that was changed here; `off` for those that others make.',
  ),
  // A topic's name has at most 249 characters.
  KAFKA_TOPIC_PREFIX: kafkaName(
    200,
    'Goes before the names of topics and group, where others use the same Kafka; the same in every process.',
  ),
  KAFKA_GROUP: kafkaName(
    249,
    'Consumer group of the workers; `ingest-worker` behind the prefix when unset. A new one reads all of the log.',
  ),
  LOG_PARTITIONS: integer(12, 'Partitions of a new log; one that is there keeps those that it has.', {
    min: 1,
    max: 1_000,
  }),
  LOG_REPLICATION: oneOf(
    '1',
    ['1', '3'],
    'Replicas of the log: 3 needs three Kafka brokers, 1 flushes every message to disk.',
  ),
  LOG_RETENTION_HOURS: integer(168, 'Hours that records stay in the log, stored or not.', { min: 1, max: 87_600 }),
} as const

type KafkaConfig = Config<typeof kafkaSettings>

/**
 * What `openKafkaLog` takes, from the settings; `clientId` names the service in Kafka's logs and quotas. Error:
 * `setting_invalid`.
 */
export function kafkaOptions(config: KafkaConfig, clientId: string) {
  const sasl = kafkaLogin(config)
  return {
    clientId,
    brokers: config.KAFKA_BROKERS,
    prefix: config.KAFKA_TOPIC_PREFIX,
    ...(config.KAFKA_GROUP === '' ? {} : { group: config.KAFKA_GROUP }),
    managesTopics: config.KAFKA_MANAGE_TOPICS === 'on',
    partitions: config.LOG_PARTITIONS,
    replication: config.LOG_REPLICATION === '3' ? (3 as const) : (1 as const),
    retention: { ageMs: config.LOG_RETENTION_HOURS * 3_600_000 },
    ssl: kafkaTls(config),
    ...(sasl === undefined ? {} : { sasl }),
  }
}

function kafkaLogin({ KAFKA_SASL: mechanism, KAFKA_USERNAME: username, KAFKA_PASSWORD: password }: KafkaConfig) {
  if (mechanism === 'none') return undefined
  if (username === undefined) throw new SluiceError('setting_invalid', 'KAFKA_USERNAME: is not set, for KAFKA_SASL')
  if (password === undefined) throw new SluiceError('setting_invalid', 'KAFKA_PASSWORD: is not set, for KAFKA_SASL')
  return { mechanism, username, password: secretReader('KAFKA_PASSWORD', kafkaSettings.KAFKA_PASSWORD) }
}

function kafkaTls(config: KafkaConfig) {
  const files = ['KAFKA_CA_FILE', 'KAFKA_CERTIFICATE_FILE'] as const
  if (config.KAFKA_TLS === 'off') {
    const idle = files.find((name) => config[name] !== undefined)
    if (idle !== undefined) throw new SluiceError('setting_invalid', `${idle}: is set, and KAFKA_TLS is off`)
    return false
  }
  const [ca, cert] = files.map((name) => readPem(name, config[name]))
  const key = config.KAFKA_CERTIFICATE_KEY
  if ((cert === undefined) !== (key === undefined)) {
    throw new SluiceError('setting_invalid', 'KAFKA_CERTIFICATE_FILE and KAFKA_CERTIFICATE_KEY: both or none is needed')
  }
  return { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key ? { key } : {}) }
}

function readPem(name: string, path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : readFileSync(path, 'utf8')
  } catch (error) {
    throw new SluiceError('setting_invalid', `${name}: ${toSluiceError(error).message}`, { cause: error })
  }
}

export const influxSettings = {
  INFLUX_URL: text('http://127.0.0.1:8086', 'Address of InfluxDB 2.'),
  INFLUX_ORG: text('sluice', 'Organisation in InfluxDB.'),
  INFLUX_BUCKET: text('telemetry', 'Bucket of the points; created if it is missing and the token permits it.'),
  INFLUX_TOKEN: requiredSecret('Token for InfluxDB: the workers write with theirs, the API reads with its own.'),
  ...pointSettings,
} as const

/** What `openInfluxPoints` takes, from the settings. */
export function influxOptions(config: Config<typeof influxSettings>) {
  return {
    url: config.INFLUX_URL,
    org: config.INFLUX_ORG,
    bucket: config.INFLUX_BUCKET,
    token: secretReader('INFLUX_TOKEN', influxSettings.INFLUX_TOKEN),
    retentionMs: pointRetentionMs(config),
  }
}

const registrySettings = {
  MARIADB_URL: requiredSecret('mariadb://user:password@host:port/database; TLS with ?ssl=true.'),
  CREDENTIAL_KEY: requiredSecret('Key of the credential hashes, 32 bytes as base64url; the same in every process.'),
} as const

/** What `openMariadbRegistry` takes, from the settings. Error: `setting_invalid`. */
export function mariadbOptions(config: Config<typeof registrySettings>) {
  return {
    url: secretReader('MARIADB_URL', registrySettings.MARIADB_URL),
    credentialKey: parseCredentialKey(config.CREDENTIAL_KEY, 'CREDENTIAL_KEY'),
  }
}

const cacheSettings = {
  REDIS_CACHE_URL: secretText('redis://127.0.0.1:6380', 'Redis of the cache; needs a maxmemory-policy that evicts.'),
} as const

/** What `openRedisCache` takes. */
export function redisCacheOptions() {
  return { url: secretReader('REDIS_CACHE_URL', cacheSettings.REDIS_CACHE_URL) }
}

const sessionsSettings = {
  REDIS_SESSIONS_URL: secretText(
    'redis://127.0.0.1:6379',
    'Redis of the MQTT sessions and of the messages between nodes; needs maxmemory-policy noeviction and appendonly yes.',
  ),
} as const

/** What `openRedisLink` and `openBrokerNodes` take. */
export function redisSessionsOptions() {
  return { url: secretReader('REDIS_SESSIONS_URL', sessionsSettings.REDIS_SESSIONS_URL) }
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
