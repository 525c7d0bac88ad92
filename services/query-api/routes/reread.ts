import Type from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import { isZoneName } from '../../../shared/decoders/zone.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { requireOfWorkers } from '../features.ts'
import { goneSignal } from '../gone.ts'
import type { JobRunner } from '../jobs/job-runner.ts'
import { countMoves, REREAD_TIMES } from '../jobs/reread-times.ts'
import { problemResponses } from '../problem.ts'
import { MoveFinder } from '../reread/moves.ts'
import { countWalk, walk } from '../reread/walk.ts'
import type { RereadSpec } from '../reread/zone-of-today.ts'
import { JobView, viewJob } from './jobs.ts'

/** Records that a dry run looks at. */
const MAX_RECORDS = 200_000

const Wanted = Type.Object(
  {
    tenant: Type.String(),
    stream: Type.Optional(Type.String({ description: 'All streams by default.' })),
    zone: Type.Optional(
      Type.String({
        description: 'The IANA name of the zone of times that say none; what the policies say by default.',
      }),
    ),
    dryRun: Type.Optional(Type.Boolean({ description: 'Only count what would be moved.' })),
  },
  { additionalProperties: false },
)

const Answer = Type.Object({
  job: Type.Union([JobView, Type.Null()], { description: 'What does it; null of a dry run.' }),
  counts: Type.Record(Type.String(), Type.Integer(), {
    description:
      'Of a dry run: records that were looked at, readings that would be moved, whose place is taken, and that were moved before.',
  }),
  complete: Type.Boolean({ description: `False of a dry run that ended after ${MAX_RECORDS} records.` }),
})

/** Reads local times by a zone that was declared later, of what is still in the log. */
export function rereadRoute(
  app: Api,
  options: ApiParts<'log' | 'points' | 'registry' | 'uploaded' | 'workers'>,
  runner: Pick<JobRunner, 'wake'>,
): void {
  app.post(
    '/policies/reread',
    {
      schema: {
        tags: ['readings'],
        summary: 'Move readings whose local time was not read to the times that a zone gives them',
        description: 'Makes a job. As far as their messages are in the log; what is there already is left as it is.',
        body: Wanted,
        response: { 200: Answer, 202: Answer, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { dryRun = false, ...spec } = request.body satisfies RereadSpec & { dryRun?: boolean }
      if (spec.zone !== undefined && !isZoneName(spec.zone))
        throw new SluiceError('bad_request', `${JSON.stringify(spec.zone)} is no time zone`)
      if (dryRun) {
        const pages = walk(options.log, new MoveFinder(options, spec), {
          signal: goneSignal(reply),
          maxRecords: MAX_RECORDS,
        })
        const counts = await countWalk(pages, ({ moves }) => countMoves(options, moves))
        return { job: null, counts: { ...counts }, complete: (counts['records'] ?? 0) < MAX_RECORDS }
      }
      await requireOfWorkers(options, 'handed-on-1')
      const job = await options.registry.jobs.create({ kind: REREAD_TIMES, spec, who: request.who })
      await recordAction(options, request, REREAD_TIMES, spec.tenant, `job ${job.id}: ${JSON.stringify(spec)}`)
      runner.wake()
      void reply.code(202)
      return { job: viewJob(job), counts: {}, complete: true }
    },
  )
}
