import fastify from 'fastify'
import { HttpConnections, httpTimeouts, type HttpLimits } from './http-connections.ts'
import { listenHttp } from './listen.ts'
import type { Metrics } from './metrics.ts'
import type { Readiness } from './readiness.ts'

export interface OperationsOptions {
  readonly host: string
  readonly port: number
  readonly readiness: Pick<Readiness, 'ask'>
  readonly metrics: Metrics
}

/** Probes and a scraper or two need a handful. */
const LIMITS: HttpLimits = { listener: 'ops', connections: 100, perAddress: 0, requestMs: 10_000 }

/** `/healthz` (the process answers), `/readyz` (503 while it takes no work) and `/metrics` of one process. */
export async function startOperationsServer(
  options: OperationsOptions,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { readiness, metrics, host, port } = options
  const app = fastify({ logger: false, forceCloseConnections: true, ...httpTimeouts(LIMITS) })
  new HttpConnections(app.server, LIMITS, metrics)
  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const answer = await readiness.ask()
    return reply.code(answer.ready ? 200 : 503).send(answer)
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
