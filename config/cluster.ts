import {
  integer,
  oneOf,
  optionalText,
  requiredSecret,
  secret,
  text,
  type Config,
  type Setting,
} from '../shared/config.ts'
import { brokerSettings } from './broker.ts'
import { ingestWorkerSettings, lingerMs } from './ingest-worker.ts'
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

/** What every process of a cluster has. */
const processSettings = {
  LOG_LEVEL: oneOf('info', ['trace', 'debug', 'info', 'warn', 'error', 'fatal'], 'Least severe level that is logged.'),
  OPS_ADDRESS: text('127.0.0.1', 'Address of /healthz, /readyz and /metrics of this process.'),
  OPS_PORT: integer(8081, 'Port of /healthz, /readyz and /metrics of this process; 0 lets the system choose one.', {
    min: 0,
    max: 65_535,
  }),
} as const

const kafkaSettings = {
  KAFKA_BROKERS: addresses('Kafka brokers, host:port separated by commas.'),
  KAFKA_TLS: oneOf('off', ['off', 'on'], 'Whether Kafka is spoken to over TLS.'),
  KAFKA_SASL: oneOf('none', ['none', 'plain', 'scram-sha-256', 'scram-sha-512'], 'How to log in to Kafka.'),
  KAFKA_USERNAME: optionalText('Login for Kafka.'),
  KAFKA_PASSWORD: secret('Password for Kafka.'),
  LOG_PARTITIONS: integer(12, 'Partitions of the log; fixed when the topics are made.', { min: 1, max: 1_000 }),
  LOG_REPLICATION: oneOf('1', ['1', '3'], 'Copies of the log: 3 needs three brokers, 1 flushes every message to disk.'),
  LOG_RETENTION_HOURS: integer(168, 'How long records stay in the log, stored or not.', { min: 1, max: 87_600 }),
} as const

/** What `openKafkaLog` takes, from the settings; `clientId` names the service in Kafka's logs and quotas. */
export function kafkaOptions(config: Config<typeof kafkaSettings>, clientId: string) {
  const { KAFKA_SASL: mechanism, KAFKA_USERNAME: username = '', KAFKA_PASSWORD: password = '' } = config
  return {
    clientId,
    brokers: config.KAFKA_BROKERS,
    partitions: config.LOG_PARTITIONS,
    replication: config.LOG_REPLICATION === '3' ? (3 as const) : (1 as const),
    retention: { ageMs: config.LOG_RETENTION_HOURS * 3_600_000 },
    ssl: config.KAFKA_TLS === 'on',
    ...(mechanism === 'none' ? {} : { sasl: { mechanism, username, password } }),
  }
}

export const influxSettings = {
  INFLUX_URL: text('http://127.0.0.1:8086', 'InfluxDB 2.'),
  INFLUX_ORG: text('sluice', 'Organisation in InfluxDB.'),
  INFLUX_BUCKET: text('telemetry', 'Bucket of the points; made when it is missing and the token may.'),
  INFLUX_TOKEN: requiredSecret('Token for InfluxDB: the workers write with theirs, the API reads with its own.'),
} as const

const registrySettings = {
  MARIADB_URL: requiredSecret('mariadb://user:password@host:port/database; TLS with ?ssl=true.'),
  CREDENTIAL_KEY: requiredSecret('Key of the credential hashes, 32 bytes in base64url; the same in every process.'),
} as const

const cacheSettings = {
  REDIS_CACHE_URL: text('redis://127.0.0.1:6380', 'Redis of the cache; its memory policy evicts.'),
} as const

export const brokerProcessSettings = { ...brokerSettings, ...processSettings, ...kafkaSettings, ...registrySettings }

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
  ...processSettings,
  ...kafkaSettings,
  ...registrySettings,
  ...influxSettings,
  ...cacheSettings,
  ADMIN_TOKEN: requiredSecret('API key of the administrator; set by whoever deploys.'),
  MQTT_ADDRESS: optionalText('host:port that devices connect to, for the page and the commands.'),
}
