import type { Cache } from '../../shared/cache/port.ts'
import { listenHttp, type Address } from '../../shared/process/listen.ts'
import type { Releasers } from '../../shared/process/releasers.ts'
import type { Logger } from '../../shared/process/logger.ts'
import { WORKER_FEATURES } from '../../shared/features.ts'
import { LagWatch } from '../../shared/process/lag-watch.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import type { Metrics } from '../../shared/process/metrics.ts'
import type { PointStore } from '../../shared/points/port.ts'
import type { LocalSessionStore } from '../../shared/sessions/port.ts'
import { openStamps } from '../../shared/stamps/stamps.ts'
import type { HeldSlot } from '../../shared/stamps/slot.ts'
import { startOperationsServer } from '../../shared/process/operations-server.ts'
import { portChecks, Readiness, type ReadinessCheck } from '../../shared/process/readiness.ts'
import { Scrapers } from '../../shared/process/scrapers.ts'
import type { Build } from '../../shared/process/version.ts'
import { Rates } from '../../shared/rates.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { readinessOf, type Broker } from '../broker/broker.ts'
import type { BrokerOptions } from '../broker/connection/broker-context.ts'
import { startIngestWorker } from '../ingest-worker/worker.ts'
import { createApi } from '../query-api/app.ts'
import { openContractOverlays } from '../query-api/contract-overlays.ts'
import { openPolicyOverlays } from '../query-api/policy-overlays.ts'
import type { StandaloneConfig } from '../../config/standalone.ts'
import { Backups, type StoreSnapshots } from './backups.ts'

export interface Ports {
  readonly log: TelemetryLog
  readonly points: PointStore
  readonly registry: Registry
  readonly cache: Cache
  readonly sessions: LocalSessionStore
  readonly snapshots: StoreSnapshots
}

export interface ServiceContext {
  readonly config: StandaloneConfig
  /** The data folder. */
  readonly folder: string
  readonly ports: Ports
  readonly disk: { readonly check: ReadinessCheck }
  /** Takes the slot of the receive stamps. */
  readonly hold: () => Promise<HeldSlot>
  readonly logger: Logger
  readonly metrics: Metrics
  readonly releasers: Releasers
  readonly build: Build
  readonly startBroker: (options: BrokerOptions) => Promise<Broker>
}

/** Where the process listens: MQTT in every way that is on, and HTTP. */
export type ServiceAddresses = Broker['addresses'] & { readonly http: Address; readonly ops?: Address }

const PUBLIC_FOLDER = new URL('../query-api/public/', import.meta.url)

/**
 * Starts the services on opened ports: what stores first, what listens last, so that stopping runs the other way round.
 * Whatever is started is owned by `releasers`. Resolves when all of them accept work.
 */
export async function startServices(context: ServiceContext): Promise<ServiceAddresses> {
  const { config, folder, ports, disk, hold, logger, metrics, releasers, build, startBroker } = context
  const waitForClockMs = config.WAIT_FOR_CLOCK * 1000
  const stamps = await openStamps({ log: ports.log, hold, node: 'standalone', waitForClockMs, logger, metrics })
  releasers.own('stamps', stamps, (it) => it.close())
  const { clock } = stamps
  const shared = { ...ports, settings: config, logger, metrics }

  const contracts = await openOverlays(context)
  const lag = new LagWatch({ log: ports.log, logger, metrics })
  releasers.own('lag watch', lag, async (it) => it.close())
  const worker = await startIngestWorker(shared)
  releasers.own('ingest worker', worker, (it) => it.close())

  const rates = new Rates(config, metrics)
  const broker = await startBroker({ ...shared, clock, rates })
  releasers.own('broker', broker, (it) => it.close())

  const checks = [
    disk.check,
    ...portChecks(ports, false),
    stamps.check,
    { name: 'ingest-worker', check: async () => worker.status() },
    { name: 'broker', check: async () => readinessOf(broker.status()) },
  ]
  const readiness = new Readiness({ checks: () => checks, logger, metrics })
  releasers.own('readiness', readiness, async (it) => it.close())

  const { DISK_RESERVE: reserve } = config
  const backups = new Backups({ folder, snapshots: ports.snapshots, reserve, version: build.version, logger })
  releasers.own('backups', backups, (it) => it.close())

  const { mqtt } = broker.addresses
  const partitions = Array.from({ length: ports.log.partitions }, (_, partition) => partition)
  const publicUrl = config.PUBLIC_URL ?? ''
  const hosts = URL.canParse(publicUrl) ? [new URL(publicUrl).hostname] : []
  const api = await createApi({
    ...shared,
    settings: { ...config, HTTP_HOSTS: [...config.HTTP_HOSTS, ...hosts] },
    nodes: broker.nodes,
    workers: async () =>
      worker.isReading() ? [{ id: 'standalone', host: undefined, partitions, features: WORKER_FEATURES }] : [],
    stamp: (elements) => clock.stampOf(elements),
    status: () => ({ mode: 'standalone', mqtt, readings: worker.readings() }),
    readiness,
    contracts,
    rates,
    backup: (recipients) => backups.make(recipients),
    build,
    publicFolder: PUBLIC_FOLDER,
  })
  releasers.own('query api', api, (it) => it.close())
  const http = await listenHttp(api, { host: config.BIND_ADDRESS, port: config.HTTP_PORT }, 'HTTP_PORT')
  return { ...broker.addresses, http, ...(await startOperations(context, readiness)) }
}

/** What files say, before anything is stored by it. */
async function openOverlays({ config, ports: { registry }, logger, metrics, releasers }: ServiceContext) {
  const policies = await openPolicyOverlays({ registry, folder: config.POLICY_FILES, logger, metrics })
  releasers.own('policy files', policies, (it) => it.close())
  // The one worker that there will be is of this version.
  const workers = async () => []
  const contracts = await openContractOverlays({ registry, workers, folder: config.CONTRACT_FILES, logger, metrics })
  return releasers.own('contract files', contracts, (it) => it.close())
}

/** For probes and scrapers alone, where it is asked for. */
async function startOperations(
  { config, metrics, releasers }: ServiceContext,
  readiness: Readiness,
): Promise<{ ops?: Address }> {
  const { OPS_ADDRESS: host, OPS_PORT: port } = config
  if (port === undefined) return {}
  const scrapers = new Scrapers(config)
  const server = await startOperationsServer({ host, port, readiness, metrics, scrapers })
  releasers.own('operations server', server, (it) => it.close())
  return { ops: { host, port: server.port } }
}
