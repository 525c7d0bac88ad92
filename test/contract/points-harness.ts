import { onTestFinished } from 'vitest'
import type { PointPage, PointQuery, PointStore } from '../../shared/points/port.ts'
import type { FieldType, Instant, PointBatch, PointValue, Series } from '../../shared/telemetry.ts'

/** One set of data, which each test gets anew and may open several times, one after the other. */
export interface PointsHarness {
  open(): Promise<PointStore>
  /** Resolves when the store does no more work by itself (sealing, compaction), as far as that can be told. */
  rest(): Promise<void>
}

export type MakePointsHarness = () => Promise<PointsHarness>

/** A point as tests write it. */
export interface TestPoint {
  readonly series: Series
  readonly ms: number
  readonly ns: number
  readonly value: PointValue
}

/** Names that some store somewhere takes for equal. */
export const SIMILAR_NAMES = [
  'pump-1',
  'Pump-1',
  'PUMP-1',
  'pump-1 ',
  'pümp-1',
  'pu\u0308mp-1',
  'pump_1',
  'pump-1.',
  'pump/1',
  'pump%2F1',
  'pump\\',
  'pump:1',
  'pump"1',
  'pump\n1',
  'pump\r1',
  'pump\u00001',
  'pump\u00101a',
  'pump\u001a',
  '#pump',
  'x'.repeat(128),
]

export function seriesOf(type: FieldType, identity: Partial<Omit<Series, 'type'>> = {}): Series {
  return { tenant: 'acme', device: 'pump-1', stream: 'telemetry', field: type, type, ...identity }
}

export function batchOf(points: readonly TestPoint[]): PointBatch {
  return {
    series: points.map(({ series }) => series),
    ms: points.map(({ ms }) => ms),
    ns: points.map(({ ns }) => ns),
    values: points.map(({ value }) => value),
  }
}

/** Values of one series, a second apart. */
export function everySecond(series: Series, values: readonly PointValue[], startMs = 1_700_000_000_000): PointBatch {
  return batchOf(values.map((value, i) => ({ series, ms: startMs + i * 1000, ns: 0, value })))
}

export async function openStore(harness: PointsHarness): Promise<PointStore> {
  const store = await harness.open()
  onTestFinished(() => store.close())
  return store
}

/** The stream that a series belongs to, as a query. */
export function streamOf({ tenant, device, stream }: Series): Omit<PointQuery, 'limit'> {
  return { tenant, device, stream }
}

export type Found = [field: string, time: Instant, value: PointValue][]

export function pointsIn(page: PointPage): Found {
  return page.series.flatMap(({ field, times, values }) =>
    times.map((time, i): Found[number] => [field, time, values[i] ?? 'missing']),
  )
}

/** All pages of a query, one after the other. */
export async function allPages(store: PointStore, query: PointQuery): Promise<Found> {
  const found: Found = []
  let page = await store.query(query)
  found.push(...pointsIn(page))
  while (page.next !== undefined) {
    page = await store.query({ ...query, cursor: page.next })
    found.push(...pointsIn(page))
  }
  return found
}

/** The values of one series, in time order. */
export async function valuesOf(store: PointStore, series: Series): Promise<PointValue[]> {
  const query = { ...streamOf(series), field: series.field, limit: 10_000 }
  return (await allPages(store, query)).map(([, , value]) => value)
}
