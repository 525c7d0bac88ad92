import fastify from 'fastify'
import { HttpConnections, httpTimeouts, type HttpLimits } from './http-connections.ts'
import { listenHttp } from './listen.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { runChecks, type ReadinessCheck } from './readiness.ts'

export interface OperationsOptions {
  readonly host: string
  readonly port: number
  /** Asked at each request, so that checks can be added while the process starts. */
  readonly checks: () => readonly ReadinessCheck[]
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Probes and a scraper or two need a handful. */
const LIMITS: HttpLimits = { listener: 'ops', connections: 100, perAddress: 0, requestMs: 10_000 }

/** `/healthz` (the process answers), `/readyz` (each check by name; 503 when one fails) and `/metrics` of one process. */
export async function startOperationsServer(
  options: OperationsOptions,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { checks, logger, metrics, host, port } = options
  const app = fastify({ logger: false, forceCloseConnections: true, ...httpTimeouts(LIMITS) })
  new HttpConnections(app.server, LIMITS, metrics)
  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const readiness = await runChecks(checks(), logger)
    return reply.code(readiness.ready ? 200 : 503).send(readiness)
  })
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()))
  const address = await listenHttp(app, { host, port }, 'OPS_PORT')
  return {
    port: address.port,
    close: async () => {
      await app.close()
    },
  }
}
