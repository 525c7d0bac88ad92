import Type, { type Static } from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import type { PointQuery, SeriesPoints } from '../../../shared/points/port.ts'
import { compareInstants } from '../../../shared/telemetry.ts'
import { isDeviceName, MAX_NAME_BYTES } from '../../../shared/names.ts'
import { DEFAULT_STREAM } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { jsonValue } from '../live-events.ts'
import { shown, shownOf } from '../shown-fields.ts'
import { problemResponses } from '../problem.ts'
import { inPieces, type Turns } from '../series-answer.ts'
import { Epoch, parseInterval, parseTime, PointTime, Value, writeTime } from '../time.ts'
import { DeviceParams, requireDevice } from './devices.ts'

/** A stream, in the query of a request. */
export const Stream = Type.String({
  default: DEFAULT_STREAM,
  description: 'The stream of the readings, as in their topic.',
})

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
        'Maximum number of points, of all series together; fewer where they hold more than 512 Ki characters of text.',
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
  type: Type.Enum(['float', 'integer', 'number', 'boolean', 'string'], {
    description: 'number: floats and integers of one field; those beyond 2^53 are texts.',
  }),
  ...shown,
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

export function readingRoutes(app: Api, options: ApiParts<'registry' | 'points'>, turns: Turns): void {
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
    async ({ params, query }, reply) => {
      const pointQuery = readQuery(query)
      const { tenant, uid } = await requireDevice(registry, params.tenant, params.device)
      const page = await points.query({ tenant, device: uid, ...pointQuery })
      const series = page.series.map((one) => ({
        ...viewSeries(one, query.epoch),
        ...shownOf(registry, { tenant, ...one }),
      }))
      const { complete, next = null, leftOut } = page
      return inPieces({ series, complete, next, leftOut: [...leftOut] }, reply, turns)
    },
  )
}

/** Errors: `name_invalid`. */
export function streamOf(stream: string): string {
  if (!isDeviceName(stream)) {
    const why =
      stream === '' ? 'is empty' : `has ${Buffer.byteLength(stream)} bytes: at most ${MAX_NAME_BYTES} are possible`
    throw new SluiceError('name_invalid', `parameter "stream" ${why}`)
  }
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
    joined: true,
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
