import Type from 'typebox'
import type { Api } from '../api.ts'
import type { BrowserSessions } from '../browser-sessions.ts'
import type { LiveClient } from '../live-client.ts'
import type { LiveView } from '../live.ts'
import { problemResponses } from '../problem.ts'

const ABOUT = `Server-sent events, each with JSON as data. First the newest 20 refusals, then live:
\`reading\` {tenant, device, stream, time, receivedAt, values}; \`refusal\` (as in /v1/dead-letters); \`warning\` (the
same form, for a reading that was stored although its clock is suspect); \`skipped\` {records}: more
arrived than this view shows or its client reads. At most 500 readings a second; for the complete data see /readings.`

export function streamRoutes(app: Api, live: LiveView, sessions: BrowserSessions): void {
  app.get(
    '/stream',
    {
      schema: {
        tags: ['readings'],
        summary: 'Readings and refusals as they arrive',
        description: ABOUT,
        querystring: Type.Object(
          { tenant: Type.Optional(Type.String()), device: Type.Optional(Type.String()) },
          { additionalProperties: false },
        ),
        response: {
          200: {
            description: 'Lasts until the client disconnects; a comment every 15 s keeps it open.',
            content: { 'text/event-stream': { schema: Type.Unsafe<LiveClient>({ type: 'string' }) } },
          },
          ...problemResponses,
        },
      },
    },
    async ({ query, session }, reply) => {
      const body = await live.open(query)
      if (session !== undefined) sessions.show(session, body)
      // Should the client have gone meanwhile, fastify destroys the body as soon as it is sent.
      reply.header('cache-control', 'no-cache, no-transform').header('x-accel-buffering', 'no')
      return reply.type('text/event-stream').send(body)
    },
  )
}
