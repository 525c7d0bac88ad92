import type { ParameterizedQuery } from '@influxdata/influxdb-client'
import { compareInstants, MAX_INSTANT, type FieldType, type Instant, type PointValue } from '../../telemetry.ts'
import { SluiceError } from '../../errors.ts'
import { InfluxRefusal } from './answers.ts'
import type { InfluxConnection } from './connection.ts'
import { cellOf, parseTime, parseValue, readAnnotatedCsv, typeOf, type OnRow } from './csv.ts'
import { namesPoint } from '../aggregate.ts'
import { devices, firstOfEach, measurements, points, together, whole, windows, type Selection } from './flux.ts'
import { fieldOf, measurementPrefix, readName, tenantOf } from './names.ts'
import { canSumExactly, foldWindows, type WindowSum } from './sums.ts'
import { compareSeries } from '../asked-series.ts'
import type { CheckedQuery } from '../cursor.ts'
import type { Aggregate, DeviceOfPoints, KnownSeries } from '../port.ts'

/** Points of one series in time order. */
export interface FieldPoints {
  readonly times: Instant[]
  readonly values: PointValue[]
}

export interface StoredSeries extends KnownSeries {
  /** Its field key. */
  readonly key: string
}

/** By field key. */
type Found = Map<string, FieldPoints>
type WindowsOf = NonNullable<CheckedQuery['aggregate']>

/** Asks InfluxDB and makes points of its answers. Errors: those of the connection. */
export class InfluxReader {
  readonly #connection: InfluxConnection
  readonly #path: string
  readonly #bucket: string

  constructor(connection: InfluxConnection, org: string, bucket: string) {
    this.#connection = connection
    this.#path = `/api/v2/query?${new URLSearchParams({ org }).toString()}`
    this.#bucket = bucket
  }

  /** The series of a device, or of one of its streams, that have points, in order. */
  async series(tenant: string, device: string, stream?: string): Promise<StoredSeries[]> {
    const prefix = measurementPrefix(tenant)
    const found: StoredSeries[] = []
    await this.ask(firstOfEach(this.#bucket, tenant, device, stream), (table, cells) => {
      const name = readName(cellOf(table, cells, '_measurement').slice(prefix.length))
      const key = cellOf(table, cells, '_field')
      found.push({ stream: name, field: fieldOf(key), type: typeOf(table, '_value'), key })
    })
    return found.sort(compareSeries)
  }

  /** Measurements of a tenant. */
  async measurements(tenant: string): Promise<string[]> {
    const prefix = measurementPrefix(tenant)
    const found: string[] = []
    await this.ask(measurements(this.#bucket), (table, cells) => {
      const name = cellOf(table, cells, '_value')
      if (name.startsWith(prefix)) found.push(name)
    })
    return found
  }

  /** Every device of every tenant, in no order. */
  async devices(): Promise<DeviceOfPoints[]> {
    const ofTenants = new Map<string, Set<string>>()
    await this.ask(devices(this.#bucket), (table, cells) => {
      const tenant = tenantOf(cellOf(table, cells, '_measurement'))
      if (tenant === undefined) return
      const known = ofTenants.get(tenant) ?? new Set<string>()
      ofTenants.set(tenant, known.add(readName(cellOf(table, cells, 'device'))))
    })
    return [...ofTenants].flatMap(([tenant, names]) => Array.from(names, (device) => ({ tenant, device })))
  }

  /** The first `limit` points of each series of the selection. */
  async points(selection: Selection, limit: number): Promise<Found> {
    const found: Found = new Map()
    await this.ask(points(selection, limit), (table, cells) => {
      const value = parseValue(typeOf(table, '_value'), cellOf(table, cells, '_value'))
      add(found, cellOf(table, cells, '_field'), parseTime(cellOf(table, cells, '_time')), value)
    })
    return found
  }

  /** The first `limit` windows of each series of the selection, given with their types; without `intervalMs` one, at the time that the port says. */
  async windows(
    selection: Selection,
    types: ReadonlyMap<string, FieldType>,
    aggregate: WindowsOf,
    limit: number,
  ): Promise<Found> {
    const { function: name, intervalMs } = aggregate
    const integers = [...types.keys()].filter((key) => types.get(key) === 'integer')
    const sums = (name === 'sum' || name === 'mean') && integers.length > 0
    // The server sums integers in 64 bits and says nothing when they overflow.
    const large = sums ? await this.#largeSums({ ...selection, keys: integers }) : []
    const keys = [...types.keys()].filter((key) => !large.includes(key))
    const found: Found = new Map()
    if (keys.length > 0 && intervalMs === undefined) await this.#whole({ ...selection, keys }, name, found)
    else if (keys.length > 0) {
      await this.#intervals({ ...selection, keys }, { function: name, intervalMs: intervalMs ?? 1 }, limit, found)
    }
    for (const key of large) found.set(key, await this.#folded({ ...selection, keys: [key] }, aggregate, limit))
    return found
  }

  /** Runs a query; `onRow` may end it by returning false, `cancel` at any time. */
  async ask(query: ParameterizedQuery, onRow: OnRow, cancel?: AbortSignal): Promise<void> {
    const dialect = { header: true, annotations: ['datatype', 'default'], dateTimeFormat: 'RFC3339Nano' }
    const body = JSON.stringify({ query: query.toString(), dialect })
    try {
      const request = { what: 'query', method: 'POST', path: this.#path, body } as const
      await this.#connection.stream(request, (chunks) => readAnnotatedCsv(chunks, onRow), cancel)
    } catch (error) {
      if (!(error instanceof InfluxRefusal)) throw error
      throw new SluiceError('internal', `InfluxDB rejects a query: ${error.message}`, { cause: error })
    }
  }

  async #intervals(
    selection: Selection,
    aggregate: { readonly function: Aggregate; readonly intervalMs: number },
    limit: number,
    found: Found,
  ): Promise<void> {
    const { function: name, intervalMs } = aggregate
    // The server counts for ever at a window that ends behind the last moment of 64 bits, so that one is asked for whole.
    const last: Instant = { ms: Math.floor(MAX_INSTANT.ms / intervalMs) * intervalMs, ns: 0 }
    const parts: Record<string, ParameterizedQuery> = {}
    const { from, to } = selection
    if (compareInstants(from, last) < 0) {
      parts['windows'] = windows({ ...selection, to: earlier(to, last) }, aggregate, limit)
    }
    if (compareInstants(to, last) > 0) parts['last'] = whole({ ...selection, from: later(from, last) }, name)
    const lastValues = new Map<string, PointValue>()
    await this.ask(together(parts), (table, cells) => {
      const key = cellOf(table, cells, '_field')
      const value = valueAfter(name, typeOf(table, '_value'), cellOf(table, cells, '_value'))
      if (cellOf(table, cells, 'result') === 'last') return void lastValues.set(key, value)
      // The first window begins where the selection does.
      const start = parseTime(cellOf(table, cells, '_time')).ms
      add(found, key, { ms: Math.floor(start / intervalMs) * intervalMs, ns: 0 }, value)
    })
    for (const [key, value] of lastValues) add(found, key, last, value)
  }

  async #whole(selection: Selection, name: Aggregate, found: Found): Promise<void> {
    const values = new Map<string, PointValue>()
    const times = new Map<string, Instant>()
    const value = { value: whole(selection, name) }
    const parts = namesPoint(name) ? value : { time: whole(selection, 'first'), ...value }
    await this.ask(together(parts), (table, cells) => {
      const key = cellOf(table, cells, '_field')
      const isValue = cellOf(table, cells, 'result') === 'value'
      if (isValue) values.set(key, valueAfter(name, typeOf(table, '_value'), cellOf(table, cells, '_value')))
      if (!isValue || namesPoint(name)) times.set(key, parseTime(cellOf(table, cells, '_time')))
    })
    for (const [key, time] of times) {
      const value = values.get(key)
      if (value !== undefined) found.set(key, { times: [time], values: [value] })
    }
  }

  /** Keys of integers whose sum might not fit into 64 bits. */
  async #largeSums(selection: Selection): Promise<string[]> {
    const parts = (['count', 'min', 'max'] as const).map((name) => [name, whole(selection, name)] as const)
    const seen = new Map<string, Map<string, bigint>>()
    await this.ask(together(Object.fromEntries(parts)), (table, cells) => {
      const key = cellOf(table, cells, '_field')
      const figures = seen.get(key) ?? new Map<string, bigint>()
      seen.set(key, figures.set(cellOf(table, cells, 'result'), BigInt(cellOf(table, cells, '_value'))))
    })
    return [...seen].filter(([, figures]) => !canSumExactly(figures)).map(([key]) => key)
  }

  /** Windows of one series of integers summed here, point by point, until there are enough. */
  async #folded(selection: Selection, aggregate: WindowsOf, limit: number): Promise<FieldPoints> {
    const done: WindowSum[] = []
    const fold = foldWindows(aggregate.intervalMs, (window) => done.push(window))
    await this.ask(points(selection, undefined), (table, cells) => {
      fold.add(parseTime(cellOf(table, cells, '_time')), BigInt(cellOf(table, cells, '_value')))
      return done.length < limit
    })
    fold.end()
    const kept = done.slice(0, limit)
    const isMean = aggregate.function === 'mean'
    return {
      times: kept.map(({ time }) => time),
      values: kept.map(({ sum, count }) => (isMean ? Number(sum) / count : Number(sum))),
    }
  }
}

function add(found: Found, key: string, time: Instant, value: PointValue): void {
  const known = found.get(key)
  if (known === undefined) found.set(key, { times: [time], values: [value] })
  else {
    known.times.push(time)
    known.values.push(value)
  }
}

/** Sums and means are floats, also of integers. */
function valueAfter(name: Aggregate, type: FieldType, text: string): PointValue {
  const value = parseValue(type, text)
  return name === 'sum' || name === 'mean' ? Number(value) : value
}

export function later(a: Instant, b: Instant): Instant {
  return compareInstants(a, b) >= 0 ? a : b
}

export function earlier(a: Instant, b: Instant): Instant {
  return compareInstants(a, b) <= 0 ? a : b
}

/** True when no moment lies between. */
export function isEmpty({ from, to }: Pick<Selection, 'from' | 'to'>): boolean {
  return compareInstants(from, to) >= 0
}
