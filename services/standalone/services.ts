import type { Cache } from '../../shared/cache/port.ts'
import type { Releasers } from '../../shared/lifecycle.ts'
import type { Logger } from '../../shared/logger.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import type { Metrics } from '../../shared/metrics.ts'
import type { PointStore } from '../../shared/points/port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { compareInstants, type Instant } from '../../shared/telemetry.ts'
import { createBroker } from '../broker/broker.ts'
import { createReceiveClock } from '../broker/receive-clock.ts'
import { startIngestWorker } from '../ingest-worker/worker.ts'
import { createApi } from '../query-api/app.ts'
import type { StandaloneConfig } from './main.ts'

export interface Ports {
  readonly log: TelemetryLog
  readonly points: PointStore
  readonly registry: Registry
  readonly cache: Cache
}

export interface ServiceContext {
  readonly config: StandaloneConfig
  readonly ports: Ports
  readonly logger: Logger
  readonly metrics: Metrics
  readonly releasers: Releasers
  readonly version: string
}

export interface Address {
  readonly host: string
  readonly port: number
}

const PUBLIC_FOLDER = new URL('../query-api/public/', import.meta.url)

/**
 * Starts the services on opened ports: what stores first, what listens last, so that stopping runs the other way round.
 * Whatever is started is owned by `releasers`. Resolves when all of them accept work.
 */
export async function startServices(context: ServiceContext): Promise<{ mqtt: Address; http: Address }> {
  const { config, ports, logger, metrics, releasers, version } = context
  const clock = createReceiveClock(await newestReceiveTime(ports.log))

  const worker = await startIngestWorker({ ...ports, settings: config, logger, metrics })
  releasers.own('ingest worker', worker, (it) => it.close())

  const broker = await createBroker({ ...ports, clock, settings: config, logger, metrics })
  releasers.own('broker', broker, (it) => it.close())

  const checks = [{ name: 'ingest-worker', check: async () => worker.status() }]
  const stamp = (bytes: number) => clock.nextStamp(bytes)
  const publicFolder = fileURLToPath(PUBLIC_FOLDER)
  const mqtt = broker.addresses.mqtt
  const api = await createApi({
    ...ports,
    checks,
    stamp,
    mqtt,
    settings: config,
    version,
    publicFolder,
    logger,
    metrics,
  })
  releasers.own('query api', api, (it) => it.close())
  const http = await listen(api, config.BIND_ADDRESS, config.HTTP_PORT)
  return { mqtt, http }
}

/** The receive clock goes on behind the newest record, also when the machine's clock was set back in between. */
async function newestReceiveTime(log: TelemetryLog): Promise<Instant | undefined> {
  const newest = (await log.offsets('telemetry.raw')).flatMap((offsets) => offsets.newest ?? [])
  return newest.toSorted(compareInstants).at(-1)
}
