import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { tenantsOf } from '../../../shared/acl-tenants.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { Api, ApiParts } from '../api.ts'
import { influxErrors } from './influx-error.ts'

/** A statement of a query; longer ones are none of those that are answered. */
const MAX_QUERY = 4_096

const open = { tags: ['operation'], security: [] }
const Health = Type.Object({
  name: Type.String(),
  message: Type.String(),
  status: Type.Enum(['pass', 'fail']),
  version: Type.String(),
})
const Results = Type.Object({
  results: Type.Array(
    Type.Object({
      statement_id: Type.Integer(),
      series: Type.Optional(
        Type.Array(
          Type.Object({
            name: Type.String(),
            columns: Type.Array(Type.String()),
            values: Type.Array(Type.Array(Type.String())),
          }),
        ),
      ),
    }),
  ),
})
const Bucket = Type.Object({
  id: Type.String(),
  orgID: Type.String(),
  type: Type.String(),
  name: Type.String(),
  retentionRules: Type.Array(Type.Unknown()),
})
const QueryText = Type.Object({ q: Type.Optional(Type.String({ description: 'CREATE DATABASE or SHOW DATABASES.' })) })

/** What clients ask for before they write, to see whether somebody is there. It needs no token. */
export function pingRoutes(app: Api, { readiness }: ApiParts<'readiness'>, version: string): void {
  const Pong = Type.Object({ version: Type.String() })
  app.get(
    '/ping',
    {
      schema: {
        ...open,
        summary: 'Somebody is there, for clients of InfluxDB',
        querystring: Type.Object({ verbose: Type.Optional(Type.String()) }),
        response: { 200: Pong, 204: Type.Null({ description: 'Without verbose.' }), ...influxErrors },
      },
    },
    async ({ query: { verbose } }, reply) =>
      verbose === undefined || verbose === 'false' ? reply.code(204).send(null) : reply.send({ version }),
  )
  app.get(
    '/health',
    {
      schema: {
        ...open,
        summary: 'As /readyz, for clients of InfluxDB',
        response: { 200: Health, 503: Health, '4xx': influxErrors['4xx'] },
      },
    },
    async (_request, reply) => {
      const { ready } = await readiness.ask()
      const message = ready ? 'ready for writes' : 'not ready, see /readyz'
      return reply.code(ready ? 200 : 503).send({ name: 'influxdb', message, status: ready ? 'pass' : 'fail', version })
    },
  )
}

/** What clients ask of databases and buckets before they write: there is what the token writes to, and nothing is made. */
export function databaseRoutes(app: Api): void {
  const schema = (summary: string, response: object) => ({
    tags: ['readings'],
    summary,
    response: { ...response, ...influxErrors },
  })
  for (const method of ['GET', 'POST'] as const) {
    app.route({
      method,
      url: '/query',
      schema: {
        ...schema('CREATE DATABASE and SHOW DATABASES of InfluxDB 1.x', { 200: Results }),
        querystring: QueryText,
      },
      handler: async (request) => answerQuery(request),
    })
    app.route({
      method,
      url: '/api/v2/buckets',
      schema: {
        ...schema('Buckets as InfluxDB 2.x lists them: whatever is asked for is there', {
          200: Type.Object({ buckets: Type.Array(Bucket) }),
          201: Bucket,
        }),
        querystring: Type.Object({ name: Type.Optional(Type.String()) }),
      },
      handler: async (request, reply) => {
        if (method === 'POST') return reply.code(201).send(bucketOf(nameIn(bodyText(request)) ?? 'sluice'))
        const { name } = request.query
        const names = name === undefined ? namesOf(request) : [name]
        return reply.send({ buckets: names.map(bucketOf) })
      },
    })
  }
}

function bucketOf(name: string) {
  const id = Buffer.from(name).toString('hex').padEnd(16, '0').slice(0, 16)
  return { id, orgID: '0000000000000001', type: 'user', name, retentionRules: [] }
}

function nameIn(json: string): string | undefined {
  try {
    const { name } = JSON.parse(json) as { name?: unknown }
    return typeof name === 'string' ? name : undefined
  } catch (error) {
    throw new SluiceError('bad_request', 'the body is not JSON', { cause: error })
  }
}

/** Error: `bad_request`, for whatever reads too: readings are asked for elsewhere. */
function answerQuery(request: FastifyRequest<{ Querystring: { q?: string } }>) {
  const { q } = request.query
  const text = (q ?? new URLSearchParams(bodyText(request)).get('q') ?? '').trim()
  if (text === '' || text.length > MAX_QUERY) throw new SluiceError('bad_request', 'missing required parameter "q"')
  const statements = text.split(';').filter((one) => one.trim() !== '')
  return {
    results: statements.map((one, index) => {
      if (/^\s*create\s+database\s+\S/i.test(one)) return { statement_id: index }
      if (!/^\s*show\s+databases\s*$/i.test(one)) {
        throw new SluiceError(
          'bad_request',
          `"${one.trim().slice(0, 80)}" is not answered: readings are at /v1, see docs/api.md.`,
        )
      }
      const values = namesOf(request).map((name) => [name])
      return { statement_id: index, series: [{ name: 'databases', columns: ['name'], values }] }
    }),
  }
}

function namesOf({ principal }: FastifyRequest): string[] {
  return principal === undefined ? [] : tenantsOf(principal)
}

function bodyText({ body }: FastifyRequest): string {
  return body instanceof Uint8Array ? Buffer.from(body).toString('utf8') : ''
}
