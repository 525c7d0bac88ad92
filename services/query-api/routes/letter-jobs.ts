import type { FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import { KINDS } from '../../../shared/telemetry.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { DISCARD_LETTERS, isOpen } from '../jobs/discard-letters.ts'
import { requireOfWorkers } from '../features.ts'
import { goneSignal } from '../gone.ts'
import type { JobRunner } from '../jobs/job-runner.ts'
import type { LettersSpec } from '../jobs/letters-job.ts'
import { REPLAY_LETTERS, whyNot } from '../jobs/replay-letters.ts'
import { problemResponses } from '../problem.ts'
import { Planner } from '../replay/planner.ts'
import { preview, type Preview } from '../replay/preview.ts'
import { filterOf, LetterFilters } from './dead-letters.ts'
import { JobView, viewJob } from './jobs.ts'

/** Letters a second that something is done about, unless the request says otherwise. */
const DEFAULT_RATE = 500

const Wanted = Type.Object(
  {
    ...LetterFilters,
    rate: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        description: `Letters a second, at most; ${DEFAULT_RATE} by default.`,
      }),
    ),
    dryRun: Type.Optional(Type.Boolean({ description: 'Only tell what would be done.' })),
  },
  { additionalProperties: false },
)

const Value = Type.Union([Type.String(), Type.Number(), Type.Boolean()])
const PointView = Type.Object({
  letter: Type.String({ description: 'Its id.' }),
  tenant: Type.String(),
  device: Type.String(),
  stream: Type.String(),
  field: Type.String(),
  kind: Type.Enum([...KINDS]),
  time: Type.String({ format: 'date-time' }),
  value: Value,
  stored: Type.Union([Value, Type.Null()], { description: 'What is in its place now; null: nothing.' }),
  outcome: Type.Enum(['stored', 'unchanged', 'superseded', 'deleted']),
})

const Answer = Type.Object({
  job: Type.Union([JobView, Type.Null()], { description: 'What does it; null of a dry run.' }),
  counts: Type.Record(Type.String(), Type.Integer(), {
    description: 'Of a dry run: letters, those that are skipped, and for a replay the points by what becomes of them.',
  }),
  points: Type.Array(PointView, { description: 'Of the dry run of a replay: the first hundred.' }),
  complete: Type.Boolean({ description: 'False of a dry run that looked only at the newest letters.' }),
})

/** What is done about dead letters. */
export function letterJobRoutes(
  app: Api,
  options: ApiParts<'log' | 'points' | 'registry' | 'uploaded' | 'workers'>,
  runner: Pick<JobRunner, 'wake'>,
): void {
  const response = { 200: Answer, 202: Answer, ...problemResponses }
  const make = makerOf(options, runner)
  app.post(
    '/dead-letters/replay',
    {
      schema: {
        tags: ['readings'],
        summary: 'Replay dead letters',
        description:
          'Makes a job: letters are decoded by the policies of today, and what they name is stored with its first stamp ' +
          'where nothing is stored in its place and nothing was deleted. A letter is replayed three times at most.',
        body: Wanted,
        response,
      },
    },
    async (request, reply) => {
      if (request.body.dryRun !== true) {
        // A worker that does not know the form would take what is replayed for what a device sent.
        await requireOfWorkers(options, 'handed-on-1')
        return make(REPLAY_LETTERS, request, reply)
      }
      const isWanted = (letter: Parameters<typeof whyNot>[0]) => whyNot(letter) === undefined
      const planner = new Planner(options)
      return viewPreview(
        await preview(options, { filter: filterOf(request.body), isWanted, planner, signal: goneSignal(reply) }),
      )
    },
  )
  app.post(
    '/dead-letters/discard',
    {
      schema: {
        tags: ['readings'],
        summary: 'Discard dead letters',
        description: 'Makes a job: the letters are noted as discarded, and are not replayed any more.',
        body: Wanted,
        response,
      },
    },
    async (request, reply) => {
      if (request.body.dryRun !== true) return make(DISCARD_LETTERS, request, reply)
      return viewPreview(
        await preview(options, { filter: filterOf(request.body), isWanted: isOpen, signal: goneSignal(reply) }),
      )
    },
  )
}

type Request = FastifyRequest & { body: Static<typeof Wanted> }

function makerOf(options: ApiParts<'registry'>, runner: Pick<JobRunner, 'wake'>) {
  return async (kind: string, request: Request, reply: FastifyReply): Promise<Static<typeof Answer>> => {
    const filter = filterOf(request.body)
    const spec: LettersSpec = { filter, rate: request.body.rate ?? DEFAULT_RATE }
    const job = await options.registry.jobs.create({ kind, spec, who: request.who })
    const { dryRun: _dryRun, ...asked } = request.body
    await recordAction(options, request, kind, 'dead-letters', `job ${job.id}: ${JSON.stringify(asked)}`)
    runner.wake()
    void reply.code(202)
    return { job: viewJob(job), counts: {}, points: [], complete: true }
  }
}

function viewPreview({ counts, points, complete }: Preview): Static<typeof Answer> {
  return { job: null, counts: { ...counts }, points: [...points], complete }
}
