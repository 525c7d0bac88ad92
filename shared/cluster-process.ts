import { loadConfig, type Config, type Settings } from './config.ts'
import type { Releasers } from './lifecycle.ts'
import { createLogger, type Logger } from './logger.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { startOperationsServer } from './operations-server.ts'
import type { ReadinessCheck } from './readiness.ts'
import { runProcess } from './service-process.ts'

/** What every process of a cluster is told. */
export interface ClusterProcessConfig {
  readonly LOG_LEVEL: string
  readonly OPS_ADDRESS: string
  readonly OPS_PORT: number
}

export interface ClusterProcess<C> {
  readonly config: C
  readonly logger: Logger
  readonly metrics: Metrics
  readonly releasers: Releasers
  /** Aborted by the first signal: whoever waits for a server gives up. */
  readonly stopping: AbortSignal
  /** Adds checks to `/readyz`. */
  readonly watch: (...checks: ReadinessCheck[]) => void
}

/**
 * Runs one service as a process of its own. `/healthz`, `/readyz` and `/metrics` answer from the first moment, so that a
 * process that waits for Kafka is seen to wait; `start` returns what the line "ready" on stderr says beside that.
 */
export function runClusterProcess<S extends Settings>(
  settings: S,
  service: string,
  start: (context: ClusterProcess<Config<S> & ClusterProcessConfig>) => Promise<Readonly<Record<string, unknown>>>,
): Promise<number> {
  return runProcess(async ({ releasers, stopping }) => {
    const config = loadConfig(settings) as Config<S> & ClusterProcessConfig
    const logger = createLogger(config.LOG_LEVEL).child({ service })
    const metrics = createMetrics({ defaults: true })
    const checks: ReadinessCheck[] = []
    const state = { started: false }
    checks.push({
      name: 'start',
      check: async () => (state.started ? { ok: true } : { ok: false, detail: 'waiting for what it needs' }),
    })
    const operations = await startOperationsServer({
      host: config.OPS_ADDRESS,
      port: config.OPS_PORT,
      checks: () => checks,
      logger,
      metrics,
    })
    releasers.own('operations server', operations, (it) => it.close())
    const watch = (...added: ReadinessCheck[]) => void checks.push(...added)
    const facts = await start({ config, logger, metrics, releasers, stopping, watch })
    state.started = true
    logger.info({ pid: process.pid, operations: operations.port, ...facts }, 'ready')
    return logger
  })
}
