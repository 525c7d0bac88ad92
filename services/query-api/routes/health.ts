import Type from 'typebox'
import { isLoopback } from '../../../shared/addresses.ts'
import { runChecks } from '../../../shared/process/readiness.ts'
import type { Api, ApiParts } from '../api.ts'
import type { Authentication } from '../authentication.ts'
import { problemResponses } from '../problem.ts'

const Readiness = Type.Object({
  ready: Type.Boolean(),
  checks: Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean(), detail: Type.Optional(Type.String()) })),
})

/** For machines that watch Sluice. None of it needs a token, but for /metrics asked from another host. */
export function healthRoutes(
  app: Api,
  options: ApiParts<'checks' | 'logger' | 'metrics'>,
  authentication: Authentication,
): void {
  const open = { tags: ['operation'], security: [] }
  const alive = Type.Object({ status: Type.Literal('ok') })
  app.get(
    '/healthz',
    { schema: { ...open, summary: 'The process answers', response: { 200: alive, ...problemResponses } } },
    async () => ({ status: 'ok' as const }),
  )

  let running: ReturnType<typeof runChecks> | undefined
  const response = { 200: Readiness, 503: Readiness, '4xx': problemResponses['4xx'] }
  app.get(
    '/readyz',
    { schema: { ...open, summary: 'All dependencies work; 503 names those that do not', response } },
    async (_request, reply) => {
      // However many ask, the checks run once at a time.
      running ??= runChecks(options.checks, options.logger).finally(() => (running = undefined))
      const readiness = await running
      return reply.code(readiness.ready ? 200 : 503).send(readiness)
    },
  )

  app.get(
    '/metrics',
    {
      onRequest: async (request) => {
        if (!isLoopback(request.socket.remoteAddress ?? '')) await authentication.check(request)
      },
      schema: {
        tags: ['operation'],
        summary: 'Metrics for Prometheus',
        description: 'Needs no token when requested from the host itself.',
        produces: ['text/plain'],
        response: { 200: Type.String(), ...problemResponses },
      },
    },
    async (_request, reply) => reply.type(options.metrics.contentType).send(await options.metrics.metrics()),
  )
}
