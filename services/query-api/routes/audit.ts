import Type from 'typebox'
import type { Api, ApiParts } from '../api.ts'
import { problemResponses } from '../problem.ts'
import { TimeOrNull, rfc3339 } from '../time.ts'

const Entry = Type.Object({
  id: Type.Integer(),
  at: TimeOrNull,
  who: Type.String({ description: 'Name of the API key or login that made the change.' }),
  action: Type.String(),
  subject: Type.String(),
  detail: Type.Union([Type.String(), Type.Null()]),
})

/** Who changed what. */
export function auditRoutes(app: Api, { registry }: ApiParts<'registry'>): void {
  app.get(
    '/audit',
    {
      schema: {
        tags: ['operation'],
        summary: 'Who changed what, newest first',
        querystring: Type.Object(
          {
            limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
            before: Type.Optional(Type.Integer({ minimum: 1, description: '`next` of the previous page.' })),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({ entries: Type.Array(Entry), next: Type.Union([Type.Integer(), Type.Null()]) }),
          ...problemResponses,
        },
      },
    },
    async ({ query }) => {
      const entries = await registry.listAudit(query)
      return {
        entries: entries.map(({ id, atMs, who, action, subject, detail }) => {
          return { id, at: rfc3339(atMs), who, action, subject, detail: detail ?? null }
        }),
        next: entries.length < query.limit ? null : (entries.at(-1)?.id ?? null),
      }
    },
  )
}
