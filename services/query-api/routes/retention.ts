import Type from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import { checkNewName } from '../../../shared/names.ts'
import type { Retention } from '../../../shared/points/port.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'

/** Less is nearly always a slip, and what it removes is gone. */
const LEAST_SECONDS = 3_600
const MOST_SECONDS = 36_500 * 86_400

const Kept = Type.Object({
  mostSeconds: Type.Union([Type.Integer(), Type.Null()], {
    description: 'Of all tenants at most: POINT_RETENTION_DAYS, or what the InfluxDB bucket says. Null: for ever.',
  }),
  tenants: Type.Array(Type.Object({ tenant: Type.String(), keepSeconds: Type.Integer() }), {
    description: 'Tenants that keep readings for less; all others keep them as long as `mostSeconds` says.',
  }),
})

/** How long readings are kept. */
export function retentionRoutes(app: Api, options: ApiParts<'registry' | 'points'>): void {
  const { points } = options
  const tags = ['readings']
  app.get(
    '/retention',
    { schema: { tags, summary: 'How long readings are kept', response: { 200: Kept, ...problemResponses } } },
    async () => view(await points.retention()),
  )
  app.put(
    '/retention/:tenant',
    {
      schema: {
        tags,
        summary: 'Set how long readings of a tenant are kept; older ones are gone at once, and for good',
        params: Type.Object({ tenant: Type.String() }),
        body: Type.Object(
          {
            keepSeconds: Type.Union([Type.Integer({ minimum: LEAST_SECONDS, maximum: MOST_SECONDS }), Type.Null()], {
              description: 'By the own time of readings, at least an hour; null: as long as all others.',
            }),
          },
          { additionalProperties: false },
        ),
        response: { 200: Kept, ...problemResponses },
      },
    },
    async (request) => {
      const { tenant } = request.params
      const { keepSeconds } = request.body
      checkNewName('tenant', tenant)
      const { mostSeconds } = view(await points.retention())
      if (keepSeconds !== null && mostSeconds !== null && keepSeconds > mostSeconds) {
        const detail = `${keepSeconds} s are longer than anything is kept: POINT_RETENTION_DAYS or the bucket allows ${mostSeconds} s`
        throw new SluiceError('bad_request', detail)
      }
      await points.setRetention(tenant, keepSeconds === null ? undefined : keepSeconds * 1_000)
      await recordAction(
        options,
        request,
        'retention.set',
        tenant,
        keepSeconds === null ? 'as all others' : `${keepSeconds} s`,
      )
      return view(await points.retention())
    },
  )
}

function view({ mostMs, tenants }: Retention): {
  mostSeconds: number | null
  tenants: { tenant: string; keepSeconds: number }[]
} {
  return {
    mostSeconds: mostMs === undefined ? null : Math.floor(mostMs / 1_000),
    tenants: tenants.map(({ tenant, keepMs }) => ({ tenant, keepSeconds: Math.floor(keepMs / 1_000) })),
  }
}
