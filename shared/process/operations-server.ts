import fastify, { type FastifyReply } from 'fastify'
import { ERRORS } from '../errors.ts'
import { HttpConnections, httpTimeouts, type HttpLimits } from './http-connections.ts'
import { listenHttp } from './listen.ts'
import type { Metrics } from './metrics.ts'
import type { Readiness } from './readiness.ts'
import { isHandedOn, type Scrapers } from './scrapers.ts'

export interface OperationsOptions {
  readonly host: string
  readonly port: number
  readonly readiness: Pick<Readiness, 'ask'>
  readonly metrics: Metrics
  readonly scrapers: Scrapers
}

/** Probes and a scraper or two need a handful. */
const LIMITS: HttpLimits = { listener: 'ops', connections: 100, perAddress: 0, requestMs: 10_000 }

/** `/healthz` (the process answers), `/readyz` (503 while it takes no work) and, for scrapers, `/metrics` of one process. */
export async function startOperationsServer(
  options: OperationsOptions,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { readiness, metrics, scrapers, host, port } = options
  const app = fastify({ logger: false, forceCloseConnections: true, ...httpTimeouts(LIMITS) })
  new HttpConnections(app.server, LIMITS, metrics)
  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const answer = await readiness.ask()
    return reply.code(answer.ready ? 200 : 503).send(answer)
  })
  app.get('/metrics', async ({ headers, socket }, reply) => {
    const scrape = { address: socket.remoteAddress ?? '', isHandedOn: isHandedOn(headers), headers }
    if (!scrapers.mayReadLocally(scrape)) return refuse(reply)
    return reply.type(metrics.contentType).send(await metrics.metrics())
  })
  const address = await listenHttp(app, { host, port }, 'OPS_PORT')
  return {
    port: address.port,
    close: async () => {
      await app.close()
    },
  }
}

function refuse(reply: FastifyReply): FastifyReply {
  const { status, fix } = ERRORS.metrics_refused
  const body = {
    code: 'metrics_refused',
    detail: 'The request has no token for metrics, and its address is not named.',
    fix,
  }
  return reply.code(status).header('www-authenticate', 'Bearer realm="sluice"').send(body)
}
