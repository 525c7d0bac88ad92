import { flux, fluxExpression, fluxRegExp, type ParameterizedQuery } from '@influxdata/influxdb-client'
import { formatInstant, toNanoseconds, fromNanoseconds, MAX_INSTANT, type Instant } from '../../telemetry.ts'
import { namesPoint } from '../aggregate.ts'
import type { Aggregate } from '../port.ts'
import { keepName, measurementOf, measurementPrefix } from './names.ts'

/**
 * Flux queries. Text is put in by the client's `flux` template, which escapes it; functions come from a list; times and
 * counts are written from numbers.
 * https://docs.influxdata.com/flux/v0/
 */

/** What of a stream of a device is read. `from` inclusive, `to` exclusive, and later than `from`. */
export interface Selection {
  readonly bucket: string
  readonly tenant: string
  readonly device: string
  readonly stream: string
  /** Field keys; undefined = all. */
  readonly keys: readonly string[] | undefined
  readonly from: Instant
  readonly to: Instant
}

/** All that InfluxDB can hold from 1970 on; the end is exclusive. */
export const ALL_TIME = { from: { ms: 0, ns: 0 }, to: { ms: MAX_INSTANT.ms, ns: MAX_INSTANT.ns + 1 } } as const

const FUNCTIONS: Readonly<Record<Aggregate, string>> = {
  min: 'min',
  max: 'max',
  mean: 'mean',
  sum: 'sum',
  count: 'count',
  first: 'first',
  last: 'last',
}

export function instant(time: Instant): ParameterizedQuery {
  return fluxExpression(formatInstant(time))
}

/** The moment before; deletes include their end. */
export function justBefore(time: Instant): Instant {
  return fromNanoseconds(toNanoseconds(time) - 1n)
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  // Not as the client does it: `$` in front of an escaped quote is no end of a text for the server's parser.
  $: '\\x24',
}

/** Free text, quoted. */
function text(value: string): ParameterizedQuery {
  return fluxExpression(`"${value.replace(/[\\"\n\r\t$]/g, (character) => ESCAPES[character] ?? character)}"`)
}

export function select({ bucket, tenant, device, stream, keys, from, to }: Selection): ParameterizedQuery {
  const measurement = measurementOf(tenant, stream)
  const all = flux`from(bucket: ${bucket})
  |> range(start: ${instant(from)}, stop: ${instant(to)})
  |> filter(fn: (r) => r._measurement == ${text(measurement)} and r.device == ${text(keepName(device))})`
  if (keys === undefined) return all
  const wanted = fluxExpression(keys.map((key) => flux`r._field == ${text(key)}`.toString()).join(' or '))
  return flux`${all}
  |> filter(fn: (r) => ${wanted})`
}

/** The first point of every series of a device, or of one of its streams: measurements, fields and types. */
export function firstOfEach(bucket: string, tenant: string, device: string, stream?: string): ParameterizedQuery {
  const { from, to } = ALL_TIME
  const prefix = measurementPrefix(tenant).replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
  const measurement =
    stream === undefined
      ? flux`r._measurement =~ ${fluxRegExp(`^${prefix}`)}`
      : flux`r._measurement == ${text(measurementOf(tenant, stream))}`
  return flux`from(bucket: ${bucket})
  |> range(start: ${instant(from)}, stop: ${instant(to)})
  |> filter(fn: (r) => ${measurement} and r.device == ${text(keepName(device))})
  |> first()
  |> keep(columns: ["_measurement", "_field", "_value"])`
}

/** Series of many devices, each with what of it is read. `from` inclusive, `to` exclusive, and later than `from`. */
export interface ManySelection {
  readonly bucket: string
  readonly series: readonly { readonly device: string; readonly measurement: string; readonly key: string }[]
  readonly from: Instant
  readonly to: Instant
}

/** What lies in the way of series that are looked for; undefined = all. */
export interface SeriesSearch {
  readonly bucket: string
  readonly tenant: string
  readonly devices: readonly string[] | undefined
  readonly streams: readonly string[] | undefined
  /** Field keys. */
  readonly keys: readonly string[] | undefined
  readonly from: Instant
  readonly to: Instant
}

/** One row for each series that has points in a time: the first. */
export function seriesWithin({ bucket, tenant, devices, streams, keys, from, to }: SeriesSearch): ParameterizedQuery {
  const prefix = measurementPrefix(tenant).replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
  const measurement =
    streams === undefined
      ? flux`r._measurement =~ ${fluxRegExp(`^${prefix}`)}`
      : anyOf(
          'r._measurement',
          streams.map((stream) => measurementOf(tenant, stream)),
        )
  const device = devices === undefined ? fluxExpression('true') : anyOf('r.device', devices.map(keepName))
  const field = keys === undefined ? fluxExpression('true') : anyOf('r._field', keys)
  return flux`from(bucket: ${bucket})
  |> range(start: ${instant(from)}, stop: ${instant(to)})
  |> filter(fn: (r) => ${measurement} and ${device} and ${field})
  |> first()
  |> keep(columns: ["_measurement", "device", "_field", "_value"])`
}

/** At most `limit` points of each of many series; of their devices also those of the fields of the others. */
export function pointsOfMany(selection: ManySelection, limit: number): ParameterizedQuery {
  return flux`${selectMany(selection)}
  |> limit(n: ${limit})
  |> keep(columns: ["_time", "_value", "_measurement", "device", "_field"])`
}

/** At most `limit` windows of each of many series; column `_time` lies in the window. */
export function windowsOfMany(
  selection: ManySelection,
  { function: name, stepMs }: { function: Aggregate; stepMs: number },
  limit: number,
): ParameterizedQuery {
  const [every, fn] = [fluxExpression(`${stepMs}ms`), fluxExpression(FUNCTIONS[name])]
  return flux`${selectMany(selection)}
  |> aggregateWindow(every: ${every}, fn: ${fn}, createEmpty: false, timeSrc: "_start")
  |> limit(n: ${limit})
  |> keep(columns: ["_time", "_value", "_measurement", "device", "_field"])`
}

function selectMany({ bucket, series, from, to }: ManySelection): ParameterizedQuery {
  const fields = new Map(
    series.map(({ measurement, key }) => [JSON.stringify([measurement, key]), { measurement, key }]),
  )
  const wanted = Array.from(fields.values(), ({ measurement, key }) => {
    return flux`(r._measurement == ${text(measurement)} and r._field == ${text(key)})`.toString()
  })
  const devices = [...new Set(series.map(({ device }) => keepName(device)))]
  return flux`from(bucket: ${bucket})
  |> range(start: ${instant(from)}, stop: ${instant(to)})
  |> filter(fn: (r) => (${fluxExpression(wanted.join(' or '))}) and ${anyOf('r.device', devices)})`
}

function anyOf(column: string, values: readonly string[]): ParameterizedQuery {
  const each = values.map((value) => flux`${fluxExpression(column)} == ${text(value)}`.toString())
  return fluxExpression(`(${each.join(' or ')})`)
}

/** Measurements that have points; tags and fields do not matter. */
export function measurements(bucket: string): ParameterizedQuery {
  const { from, to } = ALL_TIME
  return flux`import "influxdata/influxdb/schema"
schema.measurements(bucket: ${bucket}, start: ${instant(from)}, stop: ${instant(to)})`
}

/** One row for each measurement and device that have points. */
export function devices(bucket: string): ParameterizedQuery {
  const { from, to } = ALL_TIME
  return flux`from(bucket: ${bucket})
  |> range(start: ${instant(from)}, stop: ${instant(to)})
  |> first()
  |> keep(columns: ["_measurement", "device"])`
}

/** The points of a selection; at most `limit` of each series. */
export function points(selection: Selection, limit: number | undefined): ParameterizedQuery {
  const cut = limit === undefined ? fluxExpression('') : flux`\n  |> limit(n: ${limit})`
  return flux`${select(selection)}${cut}
  |> keep(columns: ["_time", "_value", "_field"])`
}

/** Windows of whole milliseconds, at most `limit` of each series; column `_start` lies in the window. */
export function windows(
  selection: Selection,
  { function: name, intervalMs }: { function: Aggregate; intervalMs: number },
  limit: number,
): ParameterizedQuery {
  const [every, fn] = [fluxExpression(`${intervalMs}ms`), fluxExpression(FUNCTIONS[name])]
  return flux`${select(selection)}
  |> aggregateWindow(every: ${every}, fn: ${fn}, createEmpty: false, timeSrc: "_start")
  |> limit(n: ${limit})
  |> keep(columns: ["_time", "_value", "_field"])`
}

/** One value of each series over the whole selection; `_time` is there of the functions that name a point. */
export function whole(selection: Selection, name: Aggregate): ParameterizedQuery {
  const fn = fluxExpression(FUNCTIONS[name])
  const columns = namesPoint(name) ? '["_time", "_value", "_field"]' : '["_value", "_field"]'
  return flux`${select(selection)}
  |> ${fn}()
  |> keep(columns: ${fluxExpression(columns)})`
}

/** Several queries as one request; the column `result` of each says its name. */
export function together(parts: Readonly<Record<string, ParameterizedQuery>>): ParameterizedQuery {
  const named = Object.entries(parts).map(([name, part]) => flux`${part}\n  |> yield(name: ${name})`.toString())
  return fluxExpression(named.join('\n'))
}
