import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join, resolve } from 'node:path'
import { deadLetterRetention } from '../../config/dead-letters.ts'
import { pointRetentionMs } from '../../config/points.ts'
import { warnOfUnknownNames } from '../../config/all-settings.ts'
import { standaloneSettings, type StandaloneConfig } from '../../config/standalone.ts'
import { finishSwap } from '../../shared/backup/folder-swap.ts'
import { openMemoryCache } from '../../shared/cache/memory/open.ts'
import { loadConfig } from '../../shared/config.ts'
import { SluiceError } from '../../shared/errors.ts'
import type { Releasers } from '../../shared/process/releasers.ts'
import type { Address } from '../../shared/process/listen.ts'
import { createLogger, type Logger } from '../../shared/process/logger.ts'
import { openSqliteLog } from '../../shared/log/sqlite/open.ts'
import { createMetrics, type Metrics } from '../../shared/process/metrics.ts'
import { openSqlitePoints } from '../../shared/points/sqlite/open.ts'
import { loadCredentialKey, parseCredentialKey } from '../../shared/registry/credentials.ts'
import { openSqliteRegistry } from '../../shared/registry/sqlite/open.ts'
import { openSqliteSessions } from '../../shared/sessions/sqlite/open.ts'
import { openSlotFile } from '../../shared/stamps/slot-file.ts'
import { runProcess } from '../../shared/process/service-process.ts'
import { thisBuild } from '../../shared/process/version.ts'
import { DiskSpace } from '../../shared/storage/disk-space.ts'
import { makeFilesPrivate, makePrivateFolder } from '../../shared/storage/folders.ts'
import { createBroker, type Broker } from '../broker/broker.ts'
import type { BrokerOptions } from '../broker/connection/broker-context.ts'
import type { StartFacts } from './banner.ts'
import { removeStage, type StoreSnapshots } from './backups.ts'
import { keepBeforeUpgrade, withCopies } from './before-upgrade.ts'
import { firstStart } from './first-start.ts'
import { startServices, type Ports } from './services.ts'

/** What opening the ports needs; whatever is opened is owned by `releasers`. */
export interface PortContext {
  readonly config: StandaloneConfig
  readonly folder: string
  readonly logger: Logger
  readonly metrics: Metrics
  readonly releasers: Releasers
  readonly disk: DiskSpace<'data' | 'log' | 'points'>
  /** Ends the process with this error. */
  readonly fail: (error: unknown) => void
}

/** What the process is put together from; known-wrong compositions under test replace one of the two. */
export interface Composition {
  readonly openPorts: (context: PortContext) => Promise<Ports>
  readonly startBroker: (options: BrokerOptions) => Promise<Broker>
}

export interface StandaloneOptions {
  /** Listens on every address, and names the one that the local network reaches. */
  readonly lan: boolean
  /** Told once, when everything accepts work. */
  readonly announce?: (facts: StartFacts) => void
}

/**
 * Runs every service in this process on the embedded adapters until SIGTERM or SIGINT. Resolves with the exit code
 * (see {@link runProcess}).
 */
export function runStandalone(
  options: StandaloneOptions,
  { openPorts, startBroker }: Composition = EMBEDDED,
): Promise<number> {
  return runProcess(async ({ releasers, fail }) => {
    const env = options.lan ? { BIND_ADDRESS: '0.0.0.0' } : {}
    const config = { ...loadConfig(standaloneSettings), ...env }
    const logger = createLogger(config.LOG_LEVEL)
    logger.info({ pid: process.pid, ...thisBuild() }, 'starting')
    warnOfUnknownNames(logger)
    const metrics = createMetrics({ defaults: true })
    const folder = makePrivateFolder(resolve(config.DATA_DIR))
    makeFilesPrivate(folder)
    const context = { config, folder, logger, metrics, releasers, fail }
    await startStandalone(context, options, { openPorts, startBroker })
    return logger
  })
}

/** Opens the ports and starts all services in this process. Whatever is started is owned by the context's releasers. */
export async function startStandalone(
  context: Omit<PortContext, 'disk'>,
  options: StandaloneOptions,
  { openPorts, startBroker }: Composition,
): Promise<void> {
  const { config, folder, logger, metrics, releasers } = context
  const build = thisBuild()
  const disk = releasers.own('disk', watchDisk({ config, folder, logger, metrics }), (it) => it.close())
  finishSwap(folder)
  removeStage(folder)
  keepBeforeUpgrade(folder, logger)
  const ports = await openPorts({ ...context, disk }).catch((error: unknown) => {
    throw withCopies(error, folder)
  })
  const first = await firstStart(ports.registry, folder)
  const hold = async () => openSlotFile(join(folder, 'stamps.json'))
  const services = { config, folder, ports, disk, hold, logger, metrics, releasers, build, startBroker }
  const addresses = await startServices(services)
  // Whoever started the process waits for this line, whatever level it logs at.
  logger.child({}, { level: 'info' }).info({ pid: process.pid, ...addresses, folder, version: build.version }, 'ready')
  const shown = (address: Address) => (options.lan ? { ...address, host: lanAddress() } : address)
  const { mqtt, http, ...others } = addresses
  const more = Object.entries(others).map(([kind, address]) => ({ kind, ...shown(address) }))
  const publicUrl = config.PUBLIC_URL
  options.announce?.({
    mqtt: shown(mqtt),
    http: shown(http),
    more,
    publicUrl,
    lan: options.lan,
    folder,
    first,
    version: build.version,
    keepDays: config.POINT_RETENTION_DAYS,
  })
}

/** The disks that the data are on. Error: `setting_invalid`. */
export function watchDisk(context: Pick<PortContext, 'config' | 'folder' | 'logger' | 'metrics'>): PortContext['disk'] {
  const { config, folder, logger, metrics } = context
  const folders = { data: folder, log: join(folder, 'log'), points: join(folder, 'points') }
  return new DiskSpace({ folders, reserve: config.DISK_RESERVE, logger, metrics })
}

/** The adapters of this deployment: SQLite in the data folder, a cache in memory. */
export async function openEmbeddedPorts(context: PortContext): Promise<Ports> {
  const { config, folder, logger, metrics, releasers, disk, fail } = context
  const credentialKey = credentialKeyOf(config, folder)
  const retention = { ageMs: config.LOG_RETENTION_HOURS * 3_600_000, bytes: config.LOG_RETENTION_MB * 1_048_576 }
  const shared = { logger, metrics }
  // One after the other, so that of several processes on one folder the second stops at the first lock.
  const logOptions = {
    folder: join(folder, 'log'),
    partitions: config.LOG_PARTITIONS,
    retention,
    deadLetterRetention: deadLetterRetention(config),
    room: disk.room('log'),
    ...shared,
  }
  const log = releasers.own('log', await openSqliteLog(logOptions), (it) => it.close())
  const readers = config.POINT_READERS
  const keepMs = pointRetentionMs(config)
  const pointsOptions = { folder: join(folder, 'points'), room: disk.room('points'), readers, keepMs, ...shared }
  const points = releasers.own('points', await openSqlitePoints(pointsOptions), (it) => it.close())
  const registryOptions = {
    file: join(folder, 'registry.db'),
    credentialKey,
    onStorageFailed: fail,
    room: disk.room('data'),
    ...shared,
  }
  const registry = releasers.own('registry', await openSqliteRegistry(registryOptions), (it) => it.close())
  const sessionOptions = { file: join(folder, 'sessions.db'), maxSessions: config.MAX_SESSIONS_PER_LOGIN, ...shared }
  const opening = openSqliteSessions({ ...sessionOptions, room: disk.room('data'), onFailed: fail })
  const sessions = releasers.own('sessions', await opening, (it) => it.close())
  const cache = releasers.own('cache', openMemoryCache({ maxEntries: config.CACHE_ENTRIES, metrics }), (it) =>
    it.close(),
  )
  const snapshots: StoreSnapshots = {
    positions: (copy) => log.snapshot(copy, 'positions'),
    points: (copy) => points.snapshot(copy),
    registry: (copy) => registry.snapshot(copy),
    records: (copy) => log.snapshot(copy, 'records'),
    sessions: (copy) => sessions.snapshot(copy),
  }
  return { log, points, registry, cache, sessions, snapshots }
}

/** Made with the registry: one that is made later would fit to none of its logins. */
export function credentialKeyOf(
  { CREDENTIAL_KEY: key }: Pick<StandaloneConfig, 'CREDENTIAL_KEY'>,
  folder: string,
): Buffer {
  if (key !== undefined) return parseCredentialKey(key, 'CREDENTIAL_KEY')
  const file = join(folder, 'credential-key')
  const registry = join(folder, 'registry.db')
  if (existsSync(file) || !existsSync(registry)) return loadCredentialKey(file)
  throw new SluiceError('credential_key_mismatch', `${file} is missing, and the logins in ${registry} need it`)
}

export const EMBEDDED: Composition = { openPorts: openEmbeddedPorts, startBroker: (options) => createBroker(options) }

/** First IPv4 address of this machine that others on its network can reach; the wildcard when there is none. */
function lanAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return addresses.find((address) => address.family === 'IPv4' && !address.internal)?.address ?? '0.0.0.0'
}
