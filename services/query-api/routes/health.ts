import Type from 'typebox'
import { Scrapers } from '../../../shared/process/scrapers.ts'
import type { Api, ApiParts } from '../api.ts'
import type { Authentication } from '../authentication.ts'
import { problemResponses } from '../problem.ts'

const Check = Type.Object({
  name: Type.String(),
  ok: Type.Boolean(),
  shared: Type.Optional(
    Type.Boolean({ description: 'A server that other processes use, too: it is told, and no reason to be not ready.' }),
  ),
  detail: Type.Optional(Type.String()),
})

const Readiness = Type.Object({
  ready: Type.Boolean({ description: 'This process takes work.' }),
  checks: Type.Array(Check),
})

/** For machines that watch Sluice. None of it needs a token but /metrics: a proxy on this host hands on whoever asks. */
export function healthRoutes(
  app: Api,
  options: ApiParts<'readiness' | 'metrics' | 'settings'>,
  authentication: Authentication,
): void {
  const open = { tags: ['operation'], security: [] }
  const scrapers = new Scrapers(options.settings)
  const alive = Type.Object({ status: Type.Literal('ok') })
  app.get(
    '/healthz',
    { schema: { ...open, summary: 'The process answers', response: { 200: alive, ...problemResponses } } },
    async () => ({ status: 'ok' as const }),
  )

  const response = { 200: Readiness, 503: Readiness, '4xx': problemResponses['4xx'] }
  app.get(
    '/readyz',
    {
      schema: {
        ...open,
        summary: 'Whether this process takes work; names what fails, of its own (then 503) and of shared servers',
        response,
      },
    },
    async (_request, reply) => {
      const readiness = await options.readiness.ask()
      return reply.code(readiness.ready ? 200 : 503).send(readiness)
    },
  )

  app.get(
    '/metrics',
    {
      onRequest: async (request) => {
        const { client: address, headers } = request
        if (scrapers.mayRead({ address, isHandedOn: request.isHandedOn, headers })) return
        await authentication.check(request)
      },
      schema: {
        tags: ['operation'],
        summary: 'Metrics for Prometheus',
        description: 'With METRICS_TOKEN or an API key; without either from the addresses of METRICS_FROM.',
        produces: ['text/plain'],
        response: { 200: Type.String(), ...problemResponses },
      },
    },
    async (_request, reply) => reply.type(options.metrics.contentType).send(await options.metrics.metrics()),
  )
}
