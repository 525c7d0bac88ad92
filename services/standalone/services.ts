import type { Cache } from '../../shared/cache/port.ts'
import { SluiceError } from '../../shared/errors.ts'
import type { Releasers } from '../../shared/lifecycle.ts'
import type { Logger } from '../../shared/logger.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import type { Metrics } from '../../shared/metrics.ts'
import type { PointStore } from '../../shared/points/port.ts'
import { receiveClockBehind } from '../../shared/receive-clock.ts'
import { portChecks } from '../../shared/readiness.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { createBroker } from '../broker/broker.ts'
import { startIngestWorker } from '../ingest-worker/worker.ts'
import { createApi, type Api } from '../query-api/app.ts'
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
  const clock = await receiveClockBehind(ports.log)
  const shared = { ...ports, settings: config, logger, metrics }

  const worker = await startIngestWorker(shared)
  releasers.own('ingest worker', worker, (it) => it.close())

  const broker = await createBroker({ ...shared, clock })
  releasers.own('broker', broker, (it) => it.close())

  const { mqtt } = broker.addresses
  const api = await createApi({
    ...shared,
    stamp: (bytes) => clock.nextStamp(bytes),
    status: () => ({ mode: 'standalone', mqtt, readings: undefined }),
    checks: [
      ...portChecks(ports),
      { name: 'ingest-worker', check: async () => worker.status() },
      { name: 'broker', check: async () => ({ ok: !broker.status().overloaded }) },
    ],
    version,
    publicFolder: PUBLIC_FOLDER,
  })
  releasers.own('query api', api, (it) => it.close())
  return { mqtt, http: await listen(api, config.BIND_ADDRESS, config.HTTP_PORT) }
}

/** Errors: `port_in_use`, `setting_invalid` (an address that is not of this machine). */
async function listen(api: Api, host: string, port: number): Promise<Address> {
  try {
    await api.listen({ host, port })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EADDRINUSE') {
      throw new SluiceError('port_in_use', `HTTP cannot listen on ${host}:${port}: another process does`, {
        cause: error,
      })
    }
    throw new SluiceError('setting_invalid', `HTTP_PORT, BIND_ADDRESS: cannot listen on ${host}:${port}`, {
      cause: error,
    })
  }
  const address = api.server.address()
  return { host, port: typeof address === 'object' && address !== null ? address.port : port }
}
