import { Histogram } from 'prom-client'
import { LATENCY_BUCKETS, type Metrics } from '../../shared/process/metrics.ts'
import type { Api } from './api.ts'

/** Asked by machines every few seconds, or files of the page: not worth a line in the log of a busy day. */
const QUIET = /^\/(healthz|readyz|health|ping|metrics|docs.*|v1\/status|vendor.*|)$|^\/[^/]*\.[a-z]+$/
/** These answers last as long as somebody watches; how long says nothing. */
const STREAM = '/v1/stream'

/** Counts and times requests by route template, and logs one line for each, without its headers and query. */
export function observeRequests(app: Api, metrics: Metrics): void {
  const seconds = new Histogram({
    name: 'sluice_http_request_seconds',
    help: 'Time from the request headers to the end of the response',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: LATENCY_BUCKETS,
    registers: [metrics],
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    const { method } = request
    const status = reply.statusCode
    if (route !== STREAM) seconds.observe({ method, route, status: String(status) }, reply.elapsedTime / 1000)
    const level = status >= 500 ? 'warn' : QUIET.test(route) ? 'debug' : 'info'
    const path = request.url.split('?')[0]
    const ms = Math.round(reply.elapsedTime * 10) / 10
    request.log[level]({ method, path, status, ms, who: request.who, from: request.client }, 'request')
  })
}
