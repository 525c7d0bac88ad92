import Type, { type Static } from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import type { Job } from '../../../shared/registry/jobs-port.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'
import { rfc3339, TimeOrNull } from '../time.ts'

export const JobView = Type.Object({
  id: Type.Integer(),
  kind: Type.String(),
  state: Type.Enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
  spec: Type.Unknown({ description: 'What was asked for.' }),
  counts: Type.Record(Type.String(), Type.Integer()),
  progress: Type.String({ description: 'What it does, waits for, or ended with.' }),
  who: Type.String(),
  createdAt: TimeOrNull,
  endedAt: TimeOrNull,
  cancelAsked: Type.Boolean(),
})

const JobParams = Type.Object({ id: Type.String({ pattern: '^[1-9][0-9]{0,14}$' }) })

/** What takes longer than a request. */
export function jobRoutes(app: Api, options: ApiParts<'registry'>): void {
  const { jobs } = options.registry
  app.get(
    '/jobs',
    {
      schema: {
        tags: ['operation'],
        summary: 'Work that takes longer than a request, newest first',
        querystring: Type.Object(
          {
            limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
            before: Type.Optional(Type.Integer({ minimum: 1, description: '`next` of the previous page.' })),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({ jobs: Type.Array(JobView), next: Type.Union([Type.Integer(), Type.Null()]) }),
          ...problemResponses,
        },
      },
    },
    async ({ query }) => {
      const found = await jobs.list(query)
      return { jobs: found.map(viewJob), next: found.length < query.limit ? null : (found.at(-1)?.id ?? null) }
    },
  )
  const one = { tags: ['operation'], params: JobParams, response: { 200: JobView, ...problemResponses } }
  app.get('/jobs/:id', { schema: { ...one, summary: 'One job' } }, async ({ params: { id } }) => {
    return viewJob(found(id, await jobs.get(Number(id))))
  })
  app.post(
    '/jobs/:id/cancel',
    {
      schema: {
        ...one,
        summary: 'End a job',
        description: 'One that runs stops at its next step, and what it did stays. One that has ended stays as it is.',
      },
    },
    async (request) => {
      const { id } = request.params
      const job = found(id, await jobs.cancel(Number(id)))
      await recordAction(options, request, 'job cancel', id, job.kind)
      return viewJob(job)
    },
  )
}

function found(id: string, job: Job | undefined): Job {
  if (job === undefined) throw new SluiceError('not_found', `No such job: ${id}.`)
  return job
}

export function viewJob(job: Job): Static<typeof JobView> {
  const { id, kind, state, spec, counts, progress, who, cancelAsked, createdMs, endedMs } = job
  const times = { createdAt: rfc3339(createdMs), endedAt: rfc3339(endedMs) }
  return { id, kind, state, spec, counts: { ...counts }, progress, who, cancelAsked, ...times }
}
