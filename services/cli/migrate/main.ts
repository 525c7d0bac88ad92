import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { influxSettings } from '../../../config/cluster.ts'
import { kafkaOptions } from '../../../config/kafka.ts'
import { pemReader } from '../../../config/pem-files.ts'
import { migrateSettings } from '../../../config/migrate.ts'
import { loadConfig, secretReader, type Config, type Environment } from '../../../shared/config.ts'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import { Releasers } from '../../../shared/process/releasers.ts'
import { createLogger, type Logger } from '../../../shared/process/logger.ts'
import { openKafkaLog } from '../../../shared/log/kafka/open.ts'
import { openSqliteLog } from '../../../shared/log/sqlite/open.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openInfluxPoints } from '../../../shared/points/influx/open.ts'
import { openSqlitePoints } from '../../../shared/points/sqlite/open.ts'
import { loadCredentialKey, parseCredentialKey } from '../../../shared/registry/credentials.ts'
import { openMariadbTables } from '../../../shared/registry/mariadb/open.ts'
import { openSqliteTables } from '../../../shared/registry/sqlite/open.ts'
import {
  migrate,
  planMigration,
  sourceState,
  unconsumed,
  type MigrationPlan,
  type MigrationReport,
} from './migration.ts'
import type { MigrationPorts, Step } from './migration-ports.ts'
import { Progress } from './progress.ts'

export interface MigrationOptions {
  /** The process's own when undefined. */
  readonly env: Environment | undefined
  /** Of the standalone deployment, which must be stopped. */
  readonly folder: string
  readonly signal: AbortSignal
  readonly onProgress: Step['onProgress']
  /** Known-wrong migrations under test put something between. */
  readonly through?: (sides: Sides) => Sides
}

type Sides = Pick<Step, 'source' | 'target'>
type MigrateConfig = Config<typeof migrateSettings>

const SECONDS_PER_HOUR = 3600

/**
 * Moves a standalone data folder into the cluster that the environment names. Errors: those of the adapters,
 * `data_locked` while standalone runs among them; `not_found` for a folder that is none; `credential_key_mismatch`.
 */
export async function runMigration(options: MigrationOptions): Promise<MigrationReport> {
  const { env, folder, signal, onProgress, through = (sides) => sides } = options
  const config = loadConfig(migrateSettings, env)
  return withReleasers(async (releasers) => {
    const key = keyOf(folder, config)
    const source = await openSource(folder, key, releasers)
    const target = await openTarget(config, key, { releasers, signal, env })
    const sides = through({ source, target })
    await checkRetention(sides.source, config.LOG_RETENTION_HOURS)
    const progress = Progress.open(join(folder, 'migration.json'), targetText(config), await sourceState(sides.source))
    return migrate({ ...sides, signal, onProgress }, progress)
  })
}

/** What {@link runMigration} would move; opens the folder only. Errors: as there. */
export async function dryRun({ env, folder }: Pick<MigrationOptions, 'env' | 'folder'>): Promise<MigrationPlan> {
  const { CREDENTIAL_KEY } = loadConfig({ CREDENTIAL_KEY: migrateSettings.CREDENTIAL_KEY }, env)
  return withReleasers(async (releasers) =>
    planMigration(await openSource(folder, keyOf(folder, { CREDENTIAL_KEY }), releasers)),
  )
}

async function withReleasers<T>(work: (releasers: Releasers) => Promise<T>): Promise<T> {
  const releasers = new Releasers()
  try {
    return await work(releasers)
  } finally {
    await releasers.close()
  }
}

/** The key of the cluster; while none is given it will be that of the folder, which must be one of standalone. */
function keyOf(folder: string, { CREDENTIAL_KEY: given }: Pick<MigrateConfig, 'CREDENTIAL_KEY'>): Buffer {
  const missing = ['registry.db', 'log', 'points'].find((name) => !existsSync(join(folder, name)))
  if (missing !== undefined) {
    throw new SluiceError('not_found', `${folder} is not the data folder of a standalone Sluice: ${missing} is missing`)
  }
  if (given !== undefined) return parseCredentialKey(given, 'CREDENTIAL_KEY')
  const file = join(folder, 'credential-key')
  if (existsSync(file)) return loadCredentialKey(file)
  throw new SluiceError('setting_invalid', `CREDENTIAL_KEY: not set, and ${file} does not exist`)
}

/** One lock after the other, as standalone takes them. Nothing is made, and retention removes nothing of the log. */
async function openSource(folder: string, credentialKey: Buffer, releasers: Releasers): Promise<MigrationPorts> {
  const file = join(folder, 'registry.db')
  const shared = { logger: createLogger('warn'), metrics: createMetrics({ defaults: false }) }
  const keep = { ageMs: undefined, bytes: undefined }
  const logOptions = { folder: join(folder, 'log'), retention: keep, deadLetterRetention: keep, ...shared }
  const log = releasers.own('log', await openSqliteLog(logOptions), (it) => it.close())
  const pointsOptions = { folder: join(folder, 'points'), ...shared }
  const points = releasers.own('points', await openSqlitePoints(pointsOptions), (it) => it.close())
  try {
    const tables = await openSqliteTables({ file, credentialKey, ...shared })
    return { log, points, tables: releasers.own('registry', tables, (it) => it.close()) }
  } catch (error) {
    const { code } = toSluiceError(error)
    throw code === 'credential_key_mismatch' ? otherKeyThan(folder, error) : error
  }
}

function otherKeyThan(folder: string, cause: unknown): SluiceError {
  const file = join(folder, 'credential-key')
  const advice = existsSync(file)
    ? `Give this command and every process of the cluster CREDENTIAL_KEY_FILE=${file}, or a copy of that file`
    : 'Set the key that standalone ran with'
  const message = `the logins in ${folder} were created with another CREDENTIAL_KEY, so none of them would work in the cluster. ${advice}`
  return new SluiceError('credential_key_mismatch', message, { cause })
}

async function openTarget(
  config: MigrateConfig,
  credentialKey: Buffer,
  { releasers, signal, env }: { releasers: Releasers; signal: AbortSignal; env: Environment | undefined },
): Promise<MigrationPorts> {
  const logger: Logger = createLogger('warn')
  const shared = { logger, metrics: createMetrics({ defaults: false }), signal }
  try {
    const registryCa = pemReader('MARIADB_CA_FILE', config.MARIADB_CA_FILE)
    const registryOptions = { url: config.MARIADB_URL, ca: registryCa, credentialKey, ...shared }
    const tables = releasers.own('registry', await openMariadbTables(registryOptions), (it) => it.close())
    const logOptions = { ...kafkaOptions(config, 'migrate'), facts: tables.facts, ...shared }
    const log = releasers.own('log', await openKafkaLog(logOptions), (it) => it.close())
    const { INFLUX_URL: url, INFLUX_ORG: org, INFLUX_BUCKET: bucket } = config
    const token = secretReader('INFLUX_TOKEN', influxSettings.INFLUX_TOKEN, env)
    const ca = pemReader('INFLUX_CA_FILE', config.INFLUX_CA_FILE)
    const pointsOptions = { url, org, bucket, token, ca, ...shared }
    const points = releasers.own('points', await openInfluxPoints(pointsOptions), (it) => it.close())
    return { log, points, tables }
  } catch (error) {
    const { code, message } = toSluiceError(error)
    if (code !== 'credential_key_mismatch') throw error
    const advice = 'Start with an empty database, and run the cluster with the key of the data folder'
    throw new SluiceError(code, `the cluster's registry: ${message}. ${advice}`, { cause: error })
  }
}

/** Kafka removes records by their own time, which is when they were received: too old ones would go unread. */
async function checkRetention(source: MigrationPorts, hours: number): Promise<void> {
  const seconds = Math.max(0, ...(await unconsumed(source)).map((lag) => lag.seconds))
  if (seconds < hours * SECONDS_PER_HOUR) return
  const needed = Math.ceil(seconds / SECONDS_PER_HOUR) + 24
  const message = `LOG_RETENTION_HOURS: the oldest record not yet stored is ${Math.floor(seconds / SECONDS_PER_HOUR)} hours old, and Kafka would delete it; set it to ${needed} for the cluster, at least until all are stored`
  throw new SluiceError('setting_invalid', message)
}

/** Where everything goes, as it may be written down. */
function targetText({ KAFKA_BROKERS, INFLUX_URL, INFLUX_ORG, INFLUX_BUCKET, MARIADB_URL }: MigrateConfig): string {
  const { host, pathname } = new URL(MARIADB_URL)
  return `Kafka ${KAFKA_BROKERS.join(',')}, InfluxDB ${INFLUX_URL} ${INFLUX_ORG}/${INFLUX_BUCKET}, MariaDB ${host}${pathname}`
}
