import Type, { type Static } from 'typebox'
import { checkNewName } from '../../../shared/names.ts'
import { checkField, type DeclaredField, type TypeChange } from '../../../shared/registry/types-port.ts'
import { DEFAULT_STREAM } from '../../../shared/topics.ts'
import { featuresOf, MEANING_NAMES, type MeaningChange } from '../../../shared/types/meaning.ts'
import type { Api, ApiParts } from '../api.ts'
import { requireOfWorkers } from '../features.ts'
import { recordAction } from '../audit.ts'
import type { JobRunner } from '../jobs/job-runner.ts'
import { REWRITE_TYPES, type RewriteSpec } from '../jobs/rewrite-types.ts'
import { problemResponses } from '../problem.ts'
import { rfc3339 } from '../time.ts'
import { JobView, viewJob } from './jobs.ts'

const NumberType = Type.Enum(['integer', 'float'], {
  description: 'Integer: whole numbers of 64 bits are exact, and others are floats beside them. Float: as undeclared.',
})
/** What may be declared of a field; see docs/types.md. */
const meaning = {
  unit: Type.String({ description: 'As people write it, such as °C.' }),
  name: Type.String({ description: 'What people call the field.' }),
  min: Type.Number({ description: 'The least number, inclusive.' }),
  max: Type.Number({ description: 'The greatest number, inclusive.' }),
  outside: Type.Enum(['fault', 'mark'], {
    description:
      'What becomes of a number below min or above max: a fault, which is not stored, or stored with a note. mark where it is not said.',
  }),
  required: Type.Boolean({ description: 'Readings of the stream without the field are noted.' }),
  interval: Type.Number({ description: 'Seconds from one reading with the field to the next.' }),
}
const Declared = Type.Object({
  tenant: Type.String(),
  stream: Type.String(),
  field: Type.String(),
  type: NumberType,
  ...Type.Partial(Type.Object(meaning)).properties,
  since: Type.Union([Type.String(), Type.Null()], {
    description: 'It holds for messages that were received from then on; of those before, what was said before.',
  }),
  who: Type.String(),
  files: Type.Record(Type.String(), Type.String(), {
    description: 'What contracts say of it, by name, with file and line: nobody else changes that.',
  }),
})
const changed = Object.entries({ type: NumberType, ...meaning }).map(
  ([name, schema]) => [name, Type.Optional(Type.Union([schema, Type.Null()]))] as const,
)
const Change = Type.Unsafe<{ tenant: string; stream?: string; field: string } & MeaningChange>(
  Type.Object(
    {
      tenant: Type.String(),
      stream: Type.Optional(Type.String({ description: 'telemetry when absent.' })),
      field: Type.String(),
      ...Object.fromEntries(changed),
    },
    { additionalProperties: false, minProperties: 3, description: 'What is left out stays; null takes it back.' },
  ),
)

/** What was declared of fields. */
export function typeRoutes(
  app: Api,
  options: ApiParts<'registry' | 'workers' | 'contracts'>,
  runner: Pick<JobRunner, 'wake'>,
): void {
  rewriteRoute(app, options, runner)
  const { declaredTypes } = options.registry
  const tags = ['types']
  app.get(
    '/types',
    {
      schema: {
        tags,
        summary: 'What was declared of fields, as it was said last',
        querystring: Type.Object({ tenant: Type.Optional(Type.String()) }, { additionalProperties: false }),
        response: {
          200: Type.Object({
            types: Type.Array(Declared),
            contractsRefused: Type.Union([Type.String(), Type.Null()], {
              description: 'Why contracts in files are not in force, with file and line; those before are.',
            }),
          }),
          ...problemResponses,
        },
      },
    },
    async ({ query: { tenant } }) => {
      if (tenant !== undefined) checkNewName('tenant', tenant)
      const declared = await declaredTypes.list(tenant)
      const types = declared.flatMap(({ changes, ...field }) => changes.slice(-1).map((one) => view(field, one)))
      return { types, contractsRefused: options.contracts?.problem ?? null }
    },
  )
  app.put(
    '/types',
    {
      schema: {
        tags,
        summary: 'Declare what a field means, in messages that come from now on',
        body: Change,
        response: { 200: Declared, ...problemResponses },
      },
    },
    async (request) => {
      const { tenant, stream = DEFAULT_STREAM, field: name, ...change } = request.body
      const field = { tenant, stream, field: name }
      const said = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== null))
      for (const feature of featuresOf(said)) await requireOfWorkers(options, feature)
      const put = await declaredTypes.declare(field, change, request.who)
      const answer = view(field, put)
      const subject = `${tenant}/${stream} ${name}`
      await recordAction(options, request, 'types.set', subject, `${JSON.stringify(put.meaning)} from ${answer.since}`)
      return answer
    },
  )
}

function rewriteRoute(app: Api, options: ApiParts<'registry' | 'workers'>, runner: Pick<JobRunner, 'wake'>): void {
  app.post(
    '/types/rewrite',
    {
      schema: {
        tags: ['types'],
        summary: 'Store the numbers that texts of a field are',
        description:
          'Makes a job, which declares the type and stores the number of each text of the field beside it, when every text is a number; else it fails, names some that are none, and changes nothing. A dry run counts.',
        body: Type.Object(
          {
            tenant: Type.String(),
            stream: Type.Optional(Type.String({ description: 'telemetry when absent.' })),
            field: Type.String(),
            type: NumberType,
            dryRun: Type.Optional(Type.Boolean({ description: 'Only count.' })),
          },
          { additionalProperties: false },
        ),
        response: { 202: JobView, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { tenant, stream = DEFAULT_STREAM, field, type, dryRun = false } = request.body
      checkField({ tenant, stream, field })
      await requireOfWorkers(options, 'handed-on-1')
      if (type === 'integer') await requireOfWorkers(options, 'declared-types')
      const spec: RewriteSpec = { tenant, stream, field, type, dryRun }
      const job = await options.registry.jobs.create({ kind: REWRITE_TYPES, spec, who: request.who })
      const subject = `${tenant}/${stream} ${field}`
      if (!dryRun) await recordAction(options, request, REWRITE_TYPES, subject, `${type}, job ${job.id}`)
      runner.wake()
      void reply.code(202)
      return viewJob(job)
    },
  )
}

function view(field: DeclaredField, { type, sinceMs, who, meaning, sources }: TypeChange): Static<typeof Declared> {
  const said = Object.fromEntries(MEANING_NAMES.flatMap((name) => (name in meaning ? [[name, meaning[name]]] : [])))
  return { ...field, ...said, type, since: rfc3339(sinceMs), who, files: { ...sources.files } }
}
