import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Kysely } from 'kysely'
import { brokerProcessSettings, ingestWorkerProcessSettings, queryApiProcessSettings } from '../../config/cluster.ts'
import { standaloneSettings } from '../../config/standalone.ts'
import { createBroker } from '../../services/broker/broker.ts'
import { startIngestWorker } from '../../services/ingest-worker/worker.ts'
import { createApi } from '../../services/query-api/app.ts'
import { openContractOverlays } from '../../services/query-api/contract-overlays.ts'
import { openPolicyOverlays } from '../../services/query-api/policy-overlays.ts'
import { EMBEDDED, watchDisk } from '../../services/standalone/main.ts'
import { startServices, type Ports } from '../../services/standalone/services.ts'
import { openRedisCache } from '../../shared/cache/redis/open.ts'
import { loadConfig } from '../../shared/config.ts'
import { createKafkaMetrics } from '../../shared/log/kafka/metrics.ts'
import { LagWatch } from '../../shared/process/lag-watch.ts'
import { createLogMetrics } from '../../shared/log/log-metrics.ts'
import { openBrokerNodes } from '../../shared/mesh/broker-nodes.ts'
import { openRedisLink } from '../../shared/mesh/redis-link.ts'
import { InfluxMetrics } from '../../shared/points/influx/metrics.ts'
import { PointsMetrics } from '../../shared/points/points-metrics.ts'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics, type Metrics } from '../../shared/process/metrics.ts'
import { startOperationsServer } from '../../shared/process/operations-server.ts'
import { Readiness } from '../../shared/process/readiness.ts'
import type { Releasers } from '../../shared/process/releasers.ts'
import { openSlotFile } from '../../shared/stamps/slot-file.ts'
import { leaseSlots } from '../../shared/stamps/slot-lease.ts'
import { openStamps } from '../../shared/stamps/stamps.ts'
import { MariadbMetrics } from '../../shared/registry/mariadb/metrics.ts'
import { Scrapers } from '../../shared/process/scrapers.ts'
import { thisBuild } from '../../shared/process/version.ts'
import { Rates } from '../../shared/rates.ts'
import type { Registry } from '../../shared/registry/port.ts'
import type { RegistrySchema } from '../../shared/registry/sql/schema.ts'
import { openSqlRegistry } from '../../shared/registry/sql/sql-registry.ts'
import { SqliteConnection } from '../../shared/registry/sqlite/connection.ts'
import { sqliteDialect } from '../../shared/registry/sqlite/dialect.ts'
import { sqliteFlavour } from '../../shared/registry/sqlite/open.ts'

/** The processes that have `/metrics`. */
export const PROCESSES = ['standalone', 'broker', 'ingest-worker', 'query-api'] as const
export type ProcessName = (typeof PROCESSES)[number]

/** What each process registers with prom-client, as it does when it runs. */
export type ProcessMetrics = Readonly<Record<ProcessName, Metrics>>

interface Surroundings {
  readonly folder: string
  readonly releasers: Releasers
}

const logger = createLogger('silent')
/** Nothing listens there: adapters of Redis open without their server. */
const NO_REDIS = { url: () => 'redis://127.0.0.1:1', logger }
const ANY_PORT = { MQTT_PORT: '0', HTTP_PORT: '0', ADMIN_TOKEN: 'none' }
const SECRETS = { CREDENTIAL_KEY: 'none', MARIADB_URL: 'none', INFLUX_TOKEN: 'none' }

/**
 * Starts the services of every process and returns their registries. A process of the cluster gets its services, and the
 * metrics of its own adapters; what its servers would answer comes from the embedded engines, which count elsewhere.
 * Whatever is started is owned by `releasers`; `folder` is an empty folder for data.
 */
export async function startProcesses(surroundings: Surroundings): Promise<ProcessMetrics> {
  const metrics: ProcessMetrics = {
    standalone: createMetrics({ defaults: false }),
    broker: createMetrics({ defaults: false }),
    'ingest-worker': createMetrics({ defaults: false }),
    'query-api': createMetrics({ defaults: false }),
  }
  const ports = await startStandalone(surroundings, metrics.standalone)
  await Promise.all([
    startBrokerProcess(surroundings, ports, metrics.broker),
    startWorkerProcess(surroundings, ports, metrics['ingest-worker']),
    startApiProcess(surroundings, ports, metrics['query-api']),
    ...(['broker', 'ingest-worker', 'query-api'] as const).map((name) => startOperations(surroundings, metrics[name])),
  ])
  return metrics
}

/** Returns the ports of another, whose metrics nobody reads. */
async function startStandalone({ folder, releasers }: Surroundings, metrics: Metrics): Promise<Ports> {
  const config = loadConfig(standaloneSettings, ANY_PORT)
  const disk = releasers.own('disk', watchDisk({ config, folder, logger, metrics }), (it) => it.close())
  const open = (name: string, counted: Metrics) => {
    const own = { folder: join(folder, name), metrics: counted, disk, fail: () => {} }
    return EMBEDDED.openPorts({ config, logger, releasers, ...own })
  }
  const ports = await open('standalone', metrics)
  const hold = async () => openSlotFile(join(folder, 'stamps.json'))
  await startServices({
    config,
    folder,
    ports,
    disk,
    hold,
    logger,
    metrics,
    releasers,
    build: thisBuild(),
    startBroker: EMBEDDED.startBroker,
  })
  return open('cluster', createMetrics({ defaults: false }))
}

async function startBrokerProcess(surroundings: Surroundings, { log }: Ports, metrics: Metrics): Promise<void> {
  const { releasers } = surroundings
  const settings = loadConfig(brokerProcessSettings, { ...ANY_PORT, ...SECRETS })
  countKafka(metrics)
  const registry = await openCountedRegistry('broker', surroundings, metrics)
  const link = releasers.own('sessions', await openRedisLink({ ...NO_REDIS, metrics }), (it) => it.close())
  const clock = await openClock(surroundings, { log, registry }, metrics)
  const cluster = { link, nodeId: settings.NODE_ID }
  const broker = await createBroker({ log, registry, clock, settings, logger, metrics, cluster })
  releasers.own('broker', broker, (it) => it.close())
}

async function startWorkerProcess(surroundings: Surroundings, { log, points }: Ports, metrics: Metrics): Promise<void> {
  const { releasers } = surroundings
  const settings = loadConfig(ingestWorkerProcessSettings, { ...ANY_PORT, ...SECRETS })
  countKafka(metrics)
  countInflux(metrics)
  const registry = await openCountedRegistry('ingest-worker', surroundings, metrics)
  const cache = releasers.own('cache', await openRedisCache({ ...NO_REDIS, metrics }), (it) => it.close())
  const worker = await startIngestWorker({ log, points, registry, cache, settings, logger, metrics })
  releasers.own('ingest worker', worker, (it) => it.close())
}

const NOT_ASKED: Pick<Readiness, 'ask'> = { ask: async () => ({ ready: true, checks: [] }) }

async function startApiProcess(surroundings: Surroundings, { log, points }: Ports, metrics: Metrics): Promise<void> {
  const { releasers } = surroundings
  releasers.own('lag watch', new LagWatch({ log, logger, metrics }), async (it) => it.close())
  const settings = loadConfig(queryApiProcessSettings, { ...ANY_PORT, ...SECRETS })
  countKafka(metrics)
  countInflux(metrics)
  const registry = await openCountedRegistry('query-api', surroundings, metrics)
  const overlays = await openPolicyOverlays({ registry, folder: undefined, logger, metrics })
  releasers.own('policy files', overlays, (it) => it.close())
  const workers = async () => []
  const contracts = await openContractOverlays({ registry, workers, folder: undefined, logger, metrics })
  releasers.own('contract files', contracts, (it) => it.close())
  const cache = releasers.own('cache', await openRedisCache({ ...NO_REDIS, metrics }), (it) => it.close())
  const nodes = releasers.own('nodes', await openBrokerNodes({ ...NO_REDIS, metrics }), (it) => it.close())
  const clock = await openClock(surroundings, { log, registry }, metrics)
  const api = await createApi({
    ...{
      log,
      points,
      registry,
      cache,
      nodes,
      workers: async () => [],
      readiness: NOT_ASKED,
      settings,
      rates: new Rates(settings, metrics),
      logger,
      metrics,
      build: thisBuild(),
    },
    stamp: (payload) => clock.stampOf(payload),
    status: () => ({ mode: 'cluster', mqtt: undefined, readings: undefined }),
    publicFolder: new URL('../../services/query-api/public/', import.meta.url),
  })
  releasers.own('query api', api, (it) => it.close())
}

async function startOperations({ releasers }: Surroundings, metrics: Metrics): Promise<void> {
  const readiness = new Readiness({ checks: () => [], logger, metrics })
  releasers.own('readiness', readiness, async (it) => it.close())
  const scrapers = new Scrapers({ METRICS_TOKEN: undefined, METRICS_FROM: [] })
  const server = await startOperationsServer({ host: '127.0.0.1', port: 0, readiness, metrics, scrapers })
  releasers.own('operations server', server, (it) => it.close())
}

async function openClock(
  { releasers }: Surroundings,
  { log, registry }: Pick<Ports, 'log' | 'registry'>,
  metrics: Metrics,
) {
  const hold = leaseSlots({ slots: registry.stampSlots, name: 'any', logger, metrics })
  const stamps = await openStamps({ log, hold, node: 'any', logger, metrics })
  return releasers.own('stamps', stamps, (it) => it.close()).clock
}

/** As `openKafkaLog` does. */
function countKafka(metrics: Metrics): void {
  createKafkaMetrics(metrics)
  createLogMetrics(metrics)
}

/** As `openInfluxPoints` does. */
function countInflux(metrics: Metrics): void {
  new InfluxMetrics(metrics)
  new PointsMetrics(metrics)
}

/** A registry whose metrics are those on MariaDB. */
async function openCountedRegistry(
  name: ProcessName,
  { folder, releasers }: Surroundings,
  metrics: Metrics,
): Promise<Registry> {
  new MariadbMetrics({ waiting: 0, active: 0, idle: 0 }, logger, metrics)
  const uncounted = createMetrics({ defaults: false })
  const connection = await SqliteConnection.open(join(folder, `${name}.db`), uncounted)
  const db = new Kysely<RegistrySchema>({ dialect: sqliteDialect(connection, uncounted) })
  const registry = await openSqlRegistry({
    ...{ db, flavour: sqliteFlavour, credentialKey: randomBytes(32), logger, metrics },
  })
  return releasers.own('registry', registry, (it) => it.close())
}
