import { integer, oneOf, optionalText, secret, secretReader, type Config, type Setting } from '../shared/config.ts'
import { SluiceError } from '../shared/errors.ts'
import { commandReader } from './command-reader.ts'
import { deadLetterRetention, deadLetterSettings } from './dead-letters.ts'
import { pemReader } from './pem-files.ts'

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

export const kafkaSettings = {
  KAFKA_BROKERS: addresses('Kafka brokers, host:port separated by commas.'),
  KAFKA_TLS: oneOf('off', ['off', 'on'], 'Whether to connect to Kafka over TLS.'),
  KAFKA_CA_FILE: optionalText('CA certificates that Kafka is verified with, PEM; those of the system when unset.'),
  KAFKA_CERTIFICATE_FILE: optionalText('Client certificate of this process for Kafka, PEM.'),
  KAFKA_CERTIFICATE_KEY: secret('Private key of that certificate, PEM.'),
  KAFKA_SASL: oneOf(
    'none',
    ['none', 'plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'],
    'How to log in to Kafka.',
  ),
  KAFKA_USERNAME: optionalText('Username for Kafka.'),
  KAFKA_PASSWORD: secret('Password for Kafka; a file is re-read at each login.'),
  KAFKA_OAUTH_TOKEN: secret('Token for Kafka, for oauthbearer; a file is re-read at each login.'),
  KAFKA_OAUTH_TOKEN_COMMAND: optionalText(
    'Command of the shell that prints such a token, within 10 s; it is run for each login.',
  ),
  KAFKA_MANAGE_TOPICS: oneOf(
    'on',
    ['on', 'off'],
    'Whether topics are made, and given retention that was changed here; `off` for those that others make.',
  ),
  KAFKA_COMPRESSION: oneOf(
    'none',
    ['none', 'zstd'],
    'Of the batches that this process appends; all of them read both, and what other producers send.',
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
  LOG_RETENTION_MB: integer(
    0,
    'Size of the log, in MiB, above which its oldest records are deleted, stored or not. 0: bounded by time alone.',
    { min: 0, max: 1_073_741_824 },
  ),
  ...deadLetterSettings,
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
    compression: config.KAFKA_COMPRESSION,
    partitions: config.LOG_PARTITIONS,
    replication: config.LOG_REPLICATION === '3' ? (3 as const) : (1 as const),
    retention: {
      ageMs: config.LOG_RETENTION_HOURS * 3_600_000,
      bytes: config.LOG_RETENTION_MB === 0 ? undefined : config.LOG_RETENTION_MB * 1_048_576,
    },
    deadLetterRetention: deadLetterRetention(config),
    ssl: kafkaTls(config),
    ...(sasl === undefined ? {} : { sasl }),
  }
}

function kafkaLogin(config: KafkaConfig) {
  const { KAFKA_SASL: mechanism, KAFKA_USERNAME: username, KAFKA_PASSWORD: password } = config
  if (mechanism === 'none') return undefined
  if (mechanism === 'oauthbearer') return { mechanism, token: tokenReader(config) }
  if (username === undefined) throw new SluiceError('setting_invalid', 'KAFKA_USERNAME: is not set, for KAFKA_SASL')
  if (password === undefined) throw new SluiceError('setting_invalid', 'KAFKA_PASSWORD: is not set, for KAFKA_SASL')
  return { mechanism, username, password: secretReader('KAFKA_PASSWORD', kafkaSettings.KAFKA_PASSWORD) }
}

function tokenReader({ KAFKA_OAUTH_TOKEN: token, KAFKA_OAUTH_TOKEN_COMMAND: command }: KafkaConfig) {
  if ((token === undefined) === (command === undefined)) {
    const message =
      'KAFKA_OAUTH_TOKEN: it, its file or KAFKA_OAUTH_TOKEN_COMMAND is needed, and one of them, for KAFKA_SASL'
    throw new SluiceError('setting_invalid', message)
  }
  if (command !== undefined) return commandReader('KAFKA_OAUTH_TOKEN_COMMAND', command, 'log_refused')
  const read = secretReader('KAFKA_OAUTH_TOKEN', kafkaSettings.KAFKA_OAUTH_TOKEN)
  return async () => read()
}

/** What the files hold is read at each connection: certificates change while processes run. */
function kafkaTls(config: KafkaConfig) {
  const files = ['KAFKA_CA_FILE', 'KAFKA_CERTIFICATE_FILE'] as const
  if (config.KAFKA_TLS === 'off') {
    const idle = files.find((name) => config[name] !== undefined)
    if (idle !== undefined) throw new SluiceError('setting_invalid', `${idle}: is set, and KAFKA_TLS is off`)
    return false
  }
  const [ca, cert] = files.map((name) => pemReader(name, config[name]))
  const hasKey = config.KAFKA_CERTIFICATE_KEY !== undefined
  if ((cert === undefined) === hasKey) {
    throw new SluiceError('setting_invalid', 'KAFKA_CERTIFICATE_FILE and KAFKA_CERTIFICATE_KEY: both or none is needed')
  }
  const key = secretReader('KAFKA_CERTIFICATE_KEY', kafkaSettings.KAFKA_CERTIFICATE_KEY)
  return () => ({
    ...(ca === undefined ? {} : { ca: ca() }),
    ...(cert === undefined ? {} : { cert: cert(), key: key() }),
  })
}
