import Type, { type Static } from 'typebox'
import { checkNewName } from '../../../shared/names.ts'
import type { DeclaredField, TypeChange } from '../../../shared/registry/types-port.ts'
import { DEFAULT_STREAM } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { requireOfWorkers } from '../features.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'
import { rfc3339 } from '../time.ts'

const NumberType = Type.Enum(['integer', 'float'], {
  description: 'Integer: whole numbers of 64 bits are exact, and others are floats beside them. Float: as undeclared.',
})
const Declared = Type.Object({
  tenant: Type.String(),
  stream: Type.String(),
  field: Type.String(),
  type: NumberType,
  since: Type.Union([Type.String(), Type.Null()], {
    description: 'It holds for messages that were received from then on; of those before, what was said before.',
  }),
  who: Type.String(),
})

/** Which fields were declared to have integers. */
export function typeRoutes(app: Api, options: ApiParts<'registry' | 'workers'>): void {
  const { declaredTypes } = options.registry
  const tags = ['types']
  app.get(
    '/types',
    {
      schema: {
        tags,
        summary: 'Fields whose type was declared, with what was said last',
        querystring: Type.Object({ tenant: Type.Optional(Type.String()) }, { additionalProperties: false }),
        response: { 200: Type.Object({ types: Type.Array(Declared) }), ...problemResponses },
      },
    },
    async ({ query: { tenant } }) => {
      if (tenant !== undefined) checkNewName('tenant', tenant)
      const declared = await declaredTypes.list(tenant)
      return { types: declared.flatMap(({ changes, ...field }) => changes.slice(-1).map((one) => view(field, one))) }
    },
  )
  app.put(
    '/types',
    {
      schema: {
        tags,
        summary: 'Declare what the numbers of a field are, in messages that come from now on',
        body: Type.Object(
          {
            tenant: Type.String(),
            stream: Type.Optional(Type.String({ description: 'telemetry when absent.' })),
            field: Type.String(),
            type: NumberType,
          },
          { additionalProperties: false },
        ),
        response: { 200: Declared, ...problemResponses },
      },
    },
    async (request) => {
      const { tenant, stream = DEFAULT_STREAM, field: name, type } = request.body
      const field = { tenant, stream, field: name }
      if (type === 'integer') await requireOfWorkers(options, 'declared-types')
      const change = await declaredTypes.declare(field, type, request.who)
      const answer = view(field, change)
      const subject = `${tenant}/${stream} ${name}`
      await recordAction(options, request, 'types.set', subject, `${type} from ${answer.since}`)
      return answer
    },
  )
}

function view(field: DeclaredField, { type, sinceMs, who }: TypeChange): Static<typeof Declared> {
  return { ...field, type, since: rfc3339(sinceMs), who }
}
