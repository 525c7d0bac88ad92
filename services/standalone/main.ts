import { mkdirSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join, resolve } from 'node:path'
import { standaloneSettings } from '../../config/standalone.ts'
import { openMemoryCache } from '../../shared/cache/memory.ts'
import { loadConfig, type Config } from '../../shared/config.ts'
import { SluiceError, toSluiceError } from '../../shared/errors.ts'
import { Releasers } from '../../shared/lifecycle.ts'
import { createLogger, type Logger } from '../../shared/logger.ts'
import { openSqliteLog } from '../../shared/log/sqlite.ts'
import { createMetrics, type Metrics } from '../../shared/metrics.ts'
import { openSqlitePoints } from '../../shared/points/sqlite/sqlite.ts'
import { loadCredentialKey, parseCredentialKey } from '../../shared/registry/credentials.ts'
import { openSqliteRegistry } from '../../shared/registry/sqlite.ts'
import { banner } from './banner.ts'
import { firstStart } from './first-start.ts'
import { startServices, type Ports } from './services.ts'

export type StandaloneConfig = Config<typeof standaloneSettings>

/** What opening the ports needs; whatever is opened is owned by `releasers`. */
export interface PortContext {
  readonly config: StandaloneConfig
  readonly folder: string
  readonly logger: Logger
  readonly metrics: Metrics
  readonly releasers: Releasers
}

/** A clean stop takes less; what takes longer is ended, and the log replays what was not committed. */
const STOP_LIMIT_MS = 10_000
const SAME_WISH_MS = 1_000

/**
 * Runs every service in this process on the embedded adapters until SIGTERM or SIGINT.
 * Resolves with the exit code: 0 after a clean stop, 1 when the start or the stop failed (one line on stderr says why).
 */
export async function runStandalone(
  options: { lan: boolean },
  openPorts: (context: PortContext) => Promise<Ports> = openEmbeddedPorts,
): Promise<number> {
  const stop = nextStopSignal()
  const releasers = new Releasers()
  try {
    const env = options.lan ? { BIND_ADDRESS: '0.0.0.0' } : {}
    const config = { ...loadConfig(standaloneSettings), ...env }
    const logger = createLogger(config.LOG_LEVEL)
    await start(
      { config, folder: dataFolder(config), logger, metrics: createMetrics({ defaults: true }), releasers },
      options,
      openPorts,
    )
    const signal = await stop.received
    logger.info({ signal }, 'stopping')
    await closeOrExit(releasers)
    logger.info('stopped')
    return 0
  } catch (error) {
    reportFailure(error)
    await releasers.close().catch(reportFailure)
    return 1
  } finally {
    stop.ignore()
  }
}

async function start(
  context: PortContext,
  options: { lan: boolean },
  openPorts: (context: PortContext) => Promise<Ports>,
): Promise<void> {
  const { config, folder, logger, metrics, releasers } = context
  const version = packageVersion()
  const ports = await openPorts(context)
  const first = await firstStart(ports.registry, folder)
  const { mqtt, http } = await startServices({ config, ports, logger, metrics, releasers, version })
  const shown = (address: { host: string; port: number }) =>
    options.lan ? { ...address, host: lanAddress() } : address
  logger.info({ pid: process.pid, mqtt, http, folder, version }, 'ready')
  const facts = {
    mqtt: shown(mqtt),
    http: shown(http),
    publicUrl: config.PUBLIC_URL,
    lan: options.lan,
    folder,
    first,
    version,
  }
  process.stdout.write(banner(facts))
}

/** The adapters of this deployment: SQLite in the data folder, a cache in memory. */
export async function openEmbeddedPorts({ config, folder, logger, metrics, releasers }: PortContext): Promise<Ports> {
  const key = config.CREDENTIAL_KEY
  const credentialKey =
    key === undefined ? loadCredentialKey(join(folder, 'credential-key')) : parseCredentialKey(key, 'CREDENTIAL_KEY')
  const retention = { ageMs: config.LOG_RETENTION_HOURS * 3_600_000, bytes: config.LOG_RETENTION_MB * 1_048_576 }
  const log = await openSqliteLog({
    folder: join(folder, 'log'),
    partitions: config.LOG_PARTITIONS,
    retention,
    logger,
    metrics,
  })
  releasers.own('log', log, (it) => it.close())
  const points = await openSqlitePoints({ folder: join(folder, 'points'), logger, metrics })
  releasers.own('points', points, (it) => it.close())
  const registry = await openSqliteRegistry({ file: join(folder, 'registry.db'), credentialKey, logger, metrics })
  releasers.own('registry', registry, (it) => it.close())
  const cache = openMemoryCache({ maxEntries: config.CACHE_ENTRIES, metrics })
  return { log, points, registry, cache: releasers.own('cache', cache, (it) => it.close()) }
}

function dataFolder(config: StandaloneConfig): string {
  const folder = resolve(config.DATA_DIR)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new SluiceError('data_unwritable', `cannot make ${folder}: ${toSluiceError(error).message}`, { cause: error })
  }
  return folder
}

/** First IPv4 address of this machine that others on its network can reach; the wildcard when there is none. */
function lanAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return addresses.find((address) => address.family === 'IPv4' && !address.internal)?.address ?? '0.0.0.0'
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/**
 * The first SIGTERM or SIGINT. A later one ends the process at once, but not one that follows closely: with Ctrl-C the
 * terminal and npm both signal, and that is one wish.
 */
function nextStopSignal(): { received: Promise<string>; ignore: () => void } {
  const { promise, resolve: receive } = Promise.withResolvers<string>()
  let first: number | undefined
  const listener = (signal: string) => {
    first ??= performance.now()
    if (performance.now() - first > SAME_WISH_MS) process.exit(1)
    receive(signal)
  }
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, listener)
  const ignore = () => ['SIGTERM', 'SIGINT'].forEach((signal) => process.off(signal, listener))
  return { received: promise, ignore }
}

/** Closes everything, or ends the process with code 1: a part that cannot close must not keep it alive. */
async function closeOrExit(releasers: Releasers): Promise<void> {
  const timer = setTimeout(() => {
    const message = `the stop took longer than ${STOP_LIMIT_MS / 1000} s and was ended; nothing acknowledged is lost`
    reportFailure(new SluiceError('internal', message))
    process.exit(1)
  }, STOP_LIMIT_MS)
  try {
    await releasers.close()
  } finally {
    clearTimeout(timer)
  }
}

function reportFailure(error: unknown): void {
  const { code, message, kind } = toSluiceError(error)
  process.stderr.write(`sluice: ${message} (${code}). ${kind.fix}\n`)
}
