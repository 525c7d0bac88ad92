import { loadConfig, type Config, type Settings } from '../config.ts'
import type { SluiceError } from '../errors.ts'
import type { Releasers } from './releasers.ts'
import { createLogger, type Logger } from './logger.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { startOperationsServer } from './operations-server.ts'
import { Readiness, type ReadinessCheck } from './readiness.ts'
import { Scrapers } from './scrapers.ts'
import { runProcess } from './service-process.ts'
import { thisBuild } from './version.ts'
import type { Waiting } from './wait-for-server.ts'

/** What every process of a cluster is told. */
export interface ClusterProcessConfig {
  readonly LOG_LEVEL: string
  readonly OPS_ADDRESS: string
  readonly OPS_PORT: number
  readonly METRICS_TOKEN: string | undefined
  readonly METRICS_FROM: readonly string[]
}

/** What every adapter is opened with, beside its own options. */
interface Surroundings extends Required<Waiting> {
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface ClusterProcess<C> {
  readonly config: C
  readonly logger: Logger
  readonly metrics: Metrics
  readonly releasers: Releasers
  /** Aborted by the first signal: whoever waits for a server gives up. */
  readonly stopping: AbortSignal
  /**
   * Opens an adapter, which the process owns then and closes at its end. While the adapter waits for its server `/readyz`
   * says so, with the reason.
   */
  readonly open: <O, T extends { close(): Promise<void> }>(
    name: string,
    adapter: (options: O) => Promise<T>,
    options: Omit<O, keyof Surroundings>,
  ) => Promise<T>
  /** Adds checks to `/readyz`. */
  readonly watch: (...checks: ReadinessCheck[]) => void
  readonly readiness: Readiness
}

/**
 * Runs one service as a process of its own. `/healthz`, `/readyz` and `/metrics` answer from the first moment, so that a
 * process that waits for Kafka is seen to wait; `run` returns what the line "ready" on stderr says beside that.
 */
export function runClusterProcess<S extends Settings>(
  settings: S,
  service: string,
  run: (context: ClusterProcess<Config<S> & ClusterProcessConfig>) => Promise<Readonly<Record<string, unknown>>>,
): Promise<number> {
  return runProcess(async ({ releasers, stopping }) => {
    const config = loadConfig(settings) as Config<S> & ClusterProcessConfig
    const logger = createLogger(config.LOG_LEVEL).child({ service })
    logger.info({ pid: process.pid, ...thisBuild() }, 'starting')
    const metrics = createMetrics({ defaults: true })
    const checks: ReadinessCheck[] = []
    const start = { isDone: false, waitsFor: 'its dependencies' }
    checks.push({
      name: 'start',
      check: async () => (start.isDone ? { ok: true } : { ok: false, detail: `waiting for ${start.waitsFor}` }),
    })
    const readiness = new Readiness({ checks: () => checks, logger, metrics })
    releasers.own('readiness', readiness, async (it) => it.close())
    const operations = await startOperationsServer({
      host: config.OPS_ADDRESS,
      port: config.OPS_PORT,
      readiness,
      metrics,
      scrapers: new Scrapers(config),
    })
    releasers.own('operations server', operations, (it) => it.close())
    const watch = (...added: ReadinessCheck[]) => void checks.push(...added)
    const open: ClusterProcess<unknown>['open'] = async (name, adapter, options) => {
      const onWaiting = (reason: SluiceError | undefined) => {
        // The code alone: anybody may read it, and messages name hosts.
        start.waitsFor = reason === undefined ? name : `${name}: ${reason.code}`
      }
      onWaiting(undefined)
      const surroundings: Surroundings = { logger, metrics, signal: stopping, onWaiting }
      // Together they are what the adapter takes: the compiler cannot put an Omit together again.
      const whole = { ...options, ...surroundings } as Parameters<typeof adapter>[0]
      return releasers.own(name, await adapter(whole), (it) => it.close())
    }
    const facts = await run({ config, logger, metrics, releasers, stopping, open, watch, readiness })
    start.isDone = true
    // Whoever started the process waits for this line, whatever level it logs at.
    logger.child({}, { level: 'info' }).info({ pid: process.pid, operations: operations.port, ...facts }, 'ready')
    return logger
  })
}
