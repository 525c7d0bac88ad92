import type { FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import type { Api, ApiParts } from '../api.ts'
import { influxErrors, sendInflux } from './influx-error.ts'
import { tooLarge, unpack, type Intake, type Place } from './intake.ts'
import type { LinePosts } from './line-posts.ts'
import { tenantOf } from './tenant.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What the request holds of the memory for bodies of line protocol. */
    place: Place | undefined
  }
}

/** What the versions of InfluxDB call the units of times. */
const UNITS: ReadonlyMap<string, string> = new Map([
  ...([
    ['', 'ns'],
    ['ns', 'ns'],
    ['n', 'ns'],
    ['us', 'us'],
    ['u', 'us'],
    ['µ', 'us'],
  ] as const),
  ...([
    ['ms', 'ms'],
    ['s', 's'],
    ['m', 'm'],
    ['h', 'h'],
  ] as const),
])

const text = (description: string) => Type.Optional(Type.String({ description }))
const Common = {
  precision: text('Unit of the times: n or ns (as without it), u or us, ms, s, m, h.'),
  strict: text('Whatever but false: answered with 400 and a count when something of the body cannot be stored.'),
  u: text('Not looked at.'),
  p: text('The token of the login.'),
}
const WriteQuery = Type.Object({ db: text('Chooses among tenants, where the login has several.'), ...Common })
const WriteQuery2 = Type.Object({ bucket: text('As db.'), org: text('As db.'), ...Common })
type Query = Static<typeof WriteQuery> & Static<typeof WriteQuery2>

const DESCRIPTION =
  'Answered when all lines are durable in the log; what cannot be stored of them becomes dead letters. The measurement is the ' +
  'stream, and the device that of the token, or else what one of the tags device, host, entity_id, topic, name says ' +
  '(docs/influx-clients.md).'

/** The ways of line protocol into the log, of both versions of InfluxDB. */
export function writeRoutes(app: Api, options: ApiParts<'settings'>, intake: Intake, posts: LinePosts): void {
  const limit = options.settings.HTTP_WRITE_BYTES_MAX
  const enter = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    request.place = intake.enter(request.who)
    const leave = () => request.place?.leave()
    reply.raw.once('close', leave)
    reply.raw.once('finish', leave)
    const declared = request.headers['content-length']
    const length = declared === undefined ? limit : Number(declared)
    if (length > limit) throw tooLarge(limit)
    request.place.take(length)
    request.raw.headers['content-type'] = 'application/octet-stream'
  }
  for (const [url, querystring] of [
    ['/write', WriteQuery],
    ['/api/v2/write', WriteQuery2],
  ] as const) {
    app.post(
      url,
      {
        bodyLimit: limit,
        onRequest: enter,
        schema: {
          tags: ['readings'],
          summary: `Store line protocol, as InfluxDB ${url === '/write' ? '1.x' : '2.x'} takes it`,
          description: DESCRIPTION,
          querystring,
          body: Type.Unknown({ description: 'Lines of line protocol, plain or gzip.' }),
          response: { 204: Type.Null({ description: 'Durable.' }), ...influxErrors },
        },
      },
      async (request, reply) => {
        const query = request.query as Query
        const unit = unitOf(query.precision)
        const { principal, place } = request
        if (principal === undefined || place === undefined) throw new SluiceError('internal', 'nobody posted this')
        const tenant = tenantOf(principal, query)
        const body = await plainBody(request, limit, place)
        const { records, refused } = await posts.append({ principal, tenant, unit, body })
        if (query.strict === undefined || query.strict === 'false') return reply.code(204).send(null)
        const { faults, first } = await posts.check(records, principal, tenant)
        if (faults + refused === 0) return reply.code(204).send(null)
        const { code, detail } = first ?? { code: 'payload_too_large', detail: 'a line is too long' }
        // The words of InfluxDB, by which Telegraf knows that the rest is stored.
        return sendInflux(reply, 400, `partial write: unable to parse: ${detail} dropped=${faults + refused}`, code)
      },
    )
  }
}

/** Error: `bad_request`. */
function unitOf(precision = ''): string {
  const unit = UNITS.get(precision)
  if (unit !== undefined) return unit
  throw new SluiceError('bad_request', `precision is n, ns, u, us, ms, s, m or h, not "${precision.slice(0, 16)}".`)
}

async function plainBody(request: FastifyRequest, limit: number, place: Place): Promise<Buffer> {
  const body =
    request.body instanceof Uint8Array
      ? Buffer.from(request.body.buffer, request.body.byteOffset, request.body.byteLength)
      : Buffer.alloc(0)
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding === 'identity' || encoding === '' || body.length === 0) return body
  if (encoding === 'gzip' || encoding === 'x-gzip') return unpack(body, limit, place)
  throw new SluiceError('media_type_unsupported', `Content-Encoding "${encoding}" is not supported here, only gzip.`)
}
