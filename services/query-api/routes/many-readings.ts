import Type, { type Static } from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import { canAggregate, storedType, typeAfter } from '../../../shared/points/aggregate.ts'
import type { Aggregate, Column, PointScan, ScanBudget, ScannedSeries } from '../../../shared/points/port.ts'
import { valueAt } from '../../../shared/points/scan-columns.ts'
import type { PointValue } from '../../../shared/telemetry.ts'
import { compareInstants } from '../../../shared/telemetry.ts'
import type { Api, ApiParts } from '../api.ts'
import { jsonValue } from '../live-events.ts'
import { shownOf } from '../shown-fields.ts'
import { goneSignal } from '../gone.ts'
import { problemResponses } from '../problem.ts'
import { inPieces, type Turns } from '../series-answer.ts'
import { Epoch, parseInterval, parseTime, writeTime } from '../time.ts'
import { SeriesName, SeriesView } from './readings.ts'

/** Names in one request: they have to fit into the head of a request anyway. */
const MAX_DEVICES = 1000
const MAX_PATTERNS = 100

/** What one answer may cost besides its points: it is gathered in memory. */
const BUDGET: Omit<ScanBudget, 'points'> = { series: 10_000, bytes: 16 * 1024 * 1024, ms: 10_000 }

const patterns = (description: string) => Type.Array(Type.String(), { maxItems: MAX_PATTERNS, description })
const ManyQuery = Type.Object(
  {
    devices: Type.Optional(
      Type.Array(Type.String(), {
        maxItems: MAX_DEVICES,
        description: 'Names, one each time; all devices by default.',
      }),
    ),
    streams: Type.Optional(
      patterns('Names or patterns (* any characters, ? one, \\ before one that is meant); all by default.'),
    ),
    fields: Type.Optional(patterns('The same of fields.')),
    kinds: Type.Optional(
      Type.Array(Type.Enum(['number', 'boolean', 'text']), { maxItems: 3, description: 'Every kind by default.' }),
    ),
    from: Type.Optional(Type.String({ description: 'Inclusive: RFC 3339 or milliseconds since 1970.' })),
    to: Type.Optional(Type.String({ description: 'Exclusive: RFC 3339 or milliseconds since 1970.' })),
    interval: Type.Optional(
      Type.String({ description: 'One point per window: 10s, 5m, 1h, 1d, or milliseconds. Aligned to 1970.' }),
    ),
    aggregate: Type.Optional(
      Type.Enum(['min', 'max', 'mean', 'sum', 'count', 'first', 'last'], {
        description: 'How to aggregate a window; mean if only interval is given. Needs interval.',
      }),
    ),
    limit: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 10_000,
      description: 'Points of all series together.',
    }),
    cursor: Type.Optional(Type.String({ maxLength: 4096, description: 'next of the previous page.' })),
    epoch: Epoch,
  },
  { additionalProperties: false },
)

const ofDevice = { device: Type.String() }
const LeftOut = Type.Object({ ...ofDevice, ...SeriesName.properties })
const OneSeries = Type.Object({ ...ofDevice, ...SeriesView.properties })
const Answer = Type.Object({
  series: Type.Array(OneSeries, {
    description: 'By what the device is stored under, stream, field and kind. A series may go on on the next page.',
  }),
  complete: Type.Boolean(),
  endedBy: Type.Enum(['all', 'points', 'series', 'bytes', 'ms', 'state', 'signal'], {
    description: 'Why the page ends: all was answered, a limit, or what was read from has changed meanwhile.',
  }),
  next: Type.Union([Type.String(), Type.Null()], { description: 'Cursor for the next page.' }),
  leftOut: Type.Array(LeftOut, {
    description: 'Series of this page that are not of numbers, where the aggregate is min, max, mean or sum.',
  }),
})

type Query = Static<typeof ManyQuery>

/** Readings of many devices at once. */
export function manyReadingRoutes(app: Api, options: ApiParts<'registry' | 'points'>, turns: Turns): void {
  app.get(
    '/tenants/:tenant/readings',
    {
      schema: {
        tags: ['readings'],
        summary: 'Readings of many devices, streams and fields, raw or in windows',
        params: Type.Object({ tenant: Type.String() }),
        querystring: ManyQuery,
        response: { 200: Answer, ...problemResponses },
      },
    },
    async ({ params: { tenant }, query }, reply) => {
      const signal = goneSignal(reply)
      const scan = { ...readScan(tenant, query, await uidsOf(options, tenant, query)), signal }
      const aggregate = aggregateOf(query)
      const names = new Map<string, string | undefined>()
      const series: Static<typeof OneSeries>[] = []
      const leftOut = new Map<string, Static<typeof LeftOut>>()
      let previous: ScannedSeries | undefined
      // Batch by batch, so that others have their turn in between.
      for await (const item of options.points.scan(scan)) {
        if (item.kind === 'end') {
          const next = item.next ?? null
          const answer = { series, complete: next === null, endedBy: item.by, next, leftOut: [...leftOut.values()] }
          return inPieces(answer, reply, turns)
        }
        await addNames(options, tenant, item.series, names)
        for (const one of item.series) {
          const device = names.get(one.device)
          if (device === undefined) continue
          if (aggregate === undefined || canAggregate(aggregate, one.type)) {
            const view = viewSeries(one, aggregate, query.epoch)
            const last = series.at(-1)
            if (last !== undefined && previous !== undefined && isSame(previous, one)) {
              for (const point of view.points) last.points.push(point)
            } else series.push({ device, ...view, ...shownOf(options.registry, { tenant, ...one }) })
            previous = one
            continue
          }
          const name = { device, stream: one.stream, field: one.field, type: storedType(one.type) }
          leftOut.set(JSON.stringify(Object.values(name)), name)
        }
      }
      throw new SluiceError('internal', 'a scan ended without an end')
    },
  )
}

/** Error: `not_found`, naming the first device that does not exist. */
async function uidsOf(
  { registry }: ApiParts<'registry'>,
  tenant: string,
  { devices }: Query,
): Promise<string[] | undefined> {
  if (devices === undefined) return undefined
  const existing = await registry.existingDevices(devices.map((device) => ({ tenant, device })))
  const known = new Set(existing.map(({ device }) => device))
  const missing = devices.find((device) => !known.has(device))
  if (missing !== undefined) throw new SluiceError('not_found', `No such device: ${tenant}/${missing}.`)
  return devices.map((device) => registry.names.uidOf(tenant, device))
}

/** Adds the names of devices by their uids; undefined where there is none: what was stored of earlier ones is nobody's. */
async function addNames(
  { registry }: ApiParts<'registry'>,
  tenant: string,
  series: readonly ScannedSeries[],
  names: Map<string, string | undefined>,
): Promise<void> {
  const uids = [...new Set(series.map(({ device }) => device))].filter((uid) => !names.has(uid))
  if (uids.length === 0) return
  const named = uids.map((uid) => ({ uid, tenant, device: registry.names.nameOf(tenant, uid) }))
  const own = named.filter(({ uid, device }) => registry.names.uidOf(tenant, device) === uid)
  const existing = await registry.existingDevices(own)
  const known = new Set(existing.map(({ device }) => device))
  for (const uid of uids) names.set(uid, undefined)
  for (const { uid, device } of own) if (known.has(device)) names.set(uid, device)
}

/** Errors: `bad_request`. */
function readScan(tenant: string, query: Query, devices: readonly string[] | undefined): PointScan {
  const { streams, fields, kinds, limit, cursor } = query
  const from = query.from === undefined ? undefined : parseTime('from', query.from)
  const to = query.to === undefined ? undefined : parseTime('to', query.to)
  if (from !== undefined && to !== undefined && compareInstants(from, to) > 0) {
    throw new SluiceError('bad_request', 'parameter "from" is later than "to"')
  }
  if (query.aggregate !== undefined && query.interval === undefined) {
    throw new SluiceError('bad_request', 'parameter "aggregate" needs "interval"')
  }
  const selector = {
    ...(devices === undefined ? {} : { devices }),
    ...(streams === undefined ? {} : { streams }),
    ...(fields === undefined ? {} : { fields }),
  }
  return {
    tenant,
    selector,
    budget: { ...BUDGET, points: limit },
    joined: true,
    ...(kinds === undefined ? {} : { kinds }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(cursor === undefined ? {} : { cursor }),
    ...(query.interval === undefined ? {} : { stepMs: parseInterval(query.interval) }),
  }
}

/** A long series comes in several batches. */
function isSame(a: ScannedSeries, b: ScannedSeries): boolean {
  return a.device === b.device && a.stream === b.stream && a.field === b.field && a.type === b.type
}

function aggregateOf({ interval, aggregate }: Query): Aggregate | undefined {
  return interval === undefined ? undefined : (aggregate ?? 'mean')
}

function viewSeries(one: ScannedSeries, aggregate: Aggregate | undefined, epoch: Epoch) {
  const { stream, field, ms, ns, columns } = one
  const type = aggregate === undefined ? one.type : typeAfter(aggregate, one.type)
  const value = (row: number): PointValue => {
    if (aggregate === 'mean') return columns.mean?.[row] ?? (columns.sum?.[row] ?? 0) / (columns.count?.[row] ?? 1)
    const column: Column = columns[aggregate ?? 'value'] ?? []
    return valueAt(column, row, aggregate === 'count' ? 'integer' : one.type)
  }
  const points = Array.from(ms, (time, row): Static<typeof SeriesView>['points'][number] => {
    return [writeTime({ ms: time, ns: ns?.[row] ?? 0 }, epoch), jsonValue(value(row))]
  })
  return { stream, field, type, points }
}
