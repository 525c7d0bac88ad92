import type { FastifyRequest } from 'fastify'
import { Gauge } from 'prom-client'
import Type, { type Static } from 'typebox'
import { canPublishAs } from '../../../shared/former-names.ts'
import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { Faults } from '../../../shared/faults.ts'
import type { PointQuery, SeriesPoints } from '../../../shared/points/port.ts'
import { compareInstants, type LogRecord } from '../../../shared/telemetry.ts'
import { isDeviceName } from '../../../shared/names.ts'
import { headersOf } from '../../../shared/record.ts'
import { DEFAULT_STREAM, deviceKey, formatTelemetryTopic } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { jsonValue } from '../live-events.ts'
import { FaultView } from '../letter-view.ts'
import { PayloadRejected, problemResponses } from '../problem.ts'
import { Epoch, parseInterval, parseTime, PointTime, Value, writeTime } from '../time.ts'
import { publisherOf } from '../publisher.ts'
import { DeviceParams, requireDevice } from './devices.ts'

const Stream = Type.String({ default: DEFAULT_STREAM, description: 'The stream of the readings, as in their topic.' })

const ReadingQuery = Type.Object(
  {
    stream: Stream,
    field: Type.Optional(Type.String({ description: 'One field; all fields by default.' })),
    kind: Type.Optional(
      Type.Enum(['number', 'boolean', 'text'], {
        description: 'Of each field only the values of this kind; every kind by default, each as a series of its own.',
      }),
    ),
    from: Type.Optional(Type.String({ description: 'Inclusive: RFC 3339 or milliseconds since 1970.' })),
    to: Type.Optional(Type.String({ description: 'Exclusive: RFC 3339 or milliseconds since 1970.' })),
    interval: Type.Optional(
      Type.String({
        description: 'One point per window: 10s, 5m, 1h, 1d, or milliseconds. Windows are aligned to 1970.',
      }),
    ),
    aggregate: Type.Optional(
      Type.Enum(['min', 'max', 'mean', 'sum', 'count', 'first', 'last'], {
        description:
          'How to aggregate a window; mean if only interval is given. Without interval: over the whole range, at the time of the reading that min, max, first or last names.',
      }),
    ),
    limit: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 1000,
      description:
        'Maximum number of points, of all series together; fewer where they hold more than 2 Mi characters of text.',
    }),
    cursor: Type.Optional(Type.String({ maxLength: 4096, description: 'next of the previous page.' })),
    epoch: Epoch,
  },
  { additionalProperties: false },
)

const seriesName = {
  stream: Type.String(),
  field: Type.String(),
  type: Type.Enum(['float', 'integer', 'boolean', 'string']),
}
/** What tells a series from the others of a device. */
export const SeriesName = Type.Object(seriesName)
/** Points of one series. */
export const SeriesView = Type.Object({
  ...seriesName,
  points: Type.Array(
    // Type.Tuple writes the form of an older JSON Schema.
    Type.Unsafe<[Static<typeof PointTime>, Static<typeof Value>]>({
      type: 'array',
      prefixItems: [PointTime, Value],
      items: false,
      minItems: 2,
    }),
  ),
})

/** What becomes of a posted payload. */
const Verdict = Type.Object({
  accepted: Type.Integer({ description: 'Readings of which at least one field will be stored.' }),
  rejected: Type.Array(FaultView, {
    description: 'What will not be stored: the first hundred faults. All else of these readings will be.',
  }),
  rejectedCount: Type.Integer({ description: 'All faults.' }),
})

/** Series kept between two payloads; making one again costs little. */
const MAX_SERIES = 20_000
/** Payloads that wait for the log, of at most MAX_PACKET_BYTES each. More are told to come back. */
const MAX_PENDING = 256

export function readingRoutes(
  app: Api,
  options: ApiParts<'registry' | 'points' | 'log' | 'metrics' | 'settings' | 'stamp'>,
): void {
  const { registry, points } = options
  app.get(
    '/devices/:tenant/:device/readings',
    {
      schema: {
        tags: ['readings'],
        summary: 'Readings of one device, raw or aggregated',
        params: DeviceParams,
        querystring: ReadingQuery,
        response: {
          200: Type.Object({
            series: Type.Array(SeriesView),
            complete: Type.Boolean(),
            next: Type.Union([Type.String(), Type.Null()], { description: 'Cursor for the next page.' }),
            leftOut: Type.Array(SeriesName, {
              description: 'Series that are not of numbers, where the aggregate is min, max, mean or sum.',
            }),
          }),
          ...problemResponses,
        },
      },
    },
    async ({ params, query }) => {
      const pointQuery = readQuery(query)
      const { tenant, uid } = await requireDevice(registry, params.tenant, params.device)
      const page = await points.query({ tenant, device: uid, ...pointQuery })
      const series = page.series.map((one) => viewSeries(one, query.epoch))
      return { series, complete: page.complete, next: page.next ?? null, leftOut: [...page.leftOut] }
    },
  )
  // A context of its own, because it takes bytes whatever their media type is called.
  app.register(async (raw: Api) => writeRoute(raw, options))
}

function writeRoute(app: Api, options: ApiParts<'registry' | 'log' | 'metrics' | 'settings' | 'stamp'>): void {
  const { registry, log, metrics } = options
  const table = new SeriesTable({ maxSeries: MAX_SERIES })
  const gauge = new Gauge({
    name: 'sluice_http_appends_pending',
    help: 'Payloads posted over HTTP that are not yet in the log',
    registers: [metrics],
  })
  let pending = 0
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post(
    '/devices/:tenant/:device/readings',
    {
      bodyLimit: options.settings.MAX_PACKET_BYTES,
      config: { acceptsLoginToken: true },
      onRequest: takeBytes,
      schema: {
        tags: ['readings'],
        summary: 'Store one payload, as if it had been published over MQTT',
        description:
          'Answered when the readings are durable in the log. Any content type is accepted. Takes an API key, or the ' +
          'token of the device or of an application that may publish to its topic.',
        params: DeviceParams,
        querystring: Type.Object({ stream: Stream }, { additionalProperties: false }),
        body: Type.Unknown({ description: 'A reading or an array of readings; see docs/payloads.md.' }),
        response: {
          202: Verdict,
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const { tenant, device } = request.params
      const stream = streamOf(request.query.stream)
      const topic = formatTelemetryTopic({ tenant, device, stream })
      if (request.principal !== undefined && !canPublishAs(registry.names, request.principal, topic)) {
        throw new SluiceError('not_authorised', `"${request.who}" may not publish to ${topic}.`)
      }
      const { uid } = await publisherOf(registry, request.principal, { tenant, device })
      if (pending >= MAX_PENDING)
        throw new SluiceError('broker_overloaded', `${pending} payloads are waiting for the log.`)
      const value = request.body instanceof Uint8Array ? request.body : new Uint8Array()
      const login = request.principal?.kind === 'application' ? request.principal.name : undefined
      const headers = headersOf({ tenant, device, stream }, uid, topic, registry.policies, login)
      const record = { key: deviceKey(tenant, uid), value, ...options.stamp(value), headers }
      await table.policies.learn([record], (ids) => registry.policies.find(ids))
      const answer = checkPayload(record, table)
      try {
        gauge.set((pending += 1))
        await log.append('telemetry.raw', [record])
      } finally {
        gauge.set((pending -= 1))
      }
      return reply.code(202).send(answer)
    },
  )
}

async function takeBytes({ raw: { headers } }: FastifyRequest): Promise<void> {
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') {
    throw new SluiceError('media_type_unsupported', `Content-Encoding "${encoding}" is not supported.`)
  }
  // curl -d says it sends a form, and others write no valid type at all: the bytes speak for themselves.
  headers['content-type'] = 'application/octet-stream'
}

/** What will become of the fields of a payload. Throws {@link PayloadRejected} when none can be stored. */
function checkPayload(record: LogRecord, table: SeriesTable): Static<typeof Verdict> {
  const { readings, faults } = decodeRecords([record], table)
  const { first, total } = faults.get(0) ?? new Faults()
  const [worst] = first
  if (readings > 0 || worst === undefined) return { accepted: readings, rejected: first, rejectedCount: total }
  throw new PayloadRejected(worst.code, worst.detail, first)
}

/** Errors: `name_invalid`. */
function streamOf(stream: string): string {
  if (!isDeviceName(stream)) throw new SluiceError('name_invalid', 'parameter "stream" is not a name')
  return stream
}

/** Errors: `bad_request`, `name_invalid`. */
function readQuery(query: Static<typeof ReadingQuery>): Omit<PointQuery, 'tenant' | 'device'> {
  const from = query.from === undefined ? {} : { from: parseTime('from', query.from) }
  const to = query.to === undefined ? {} : { to: parseTime('to', query.to) }
  if (from.from !== undefined && to.to !== undefined && compareInstants(from.from, to.to) > 0) {
    throw new SluiceError('bad_request', 'parameter "from" is later than "to"')
  }
  const field = query.field === undefined ? {} : { field: query.field }
  const kind = query.kind === undefined ? {} : { kind: query.kind }
  const cursor = query.cursor === undefined ? {} : { cursor: query.cursor }
  const stream = streamOf(query.stream)
  return {
    stream,
    limit: query.limit,
    ...field,
    ...kind,
    ...from,
    ...to,
    ...cursor,
    ...readAggregate(query),
  }
}

function readAggregate({ interval, aggregate }: Static<typeof ReadingQuery>): Pick<PointQuery, 'aggregate'> {
  if (interval !== undefined) {
    return { aggregate: { function: aggregate ?? 'mean', intervalMs: parseInterval(interval) } }
  }
  return aggregate === undefined ? {} : { aggregate: { function: aggregate } }
}

function viewSeries({ stream, field, type, times, values }: SeriesPoints, epoch: Epoch): Static<typeof SeriesView> {
  const points = times.map((time, index): [number | string, Static<typeof Value>] => [
    writeTime(time, epoch),
    jsonValue(values[index] ?? ''),
  ])
  return { stream, field, type, points }
}
