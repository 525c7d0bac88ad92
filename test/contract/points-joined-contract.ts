import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Aggregate, PointScan, PointStore, SeriesType } from '../../shared/points/port.ts'
import { valueAt } from '../../shared/points/scan-columns.ts'
import { compareInstants, type Instant, type PointValue } from '../../shared/telemetry.ts'
import { lasting } from '../long.ts'
import { batchOf, openStore, seriesOf, type MakePointsHarness, type TestPoint } from './points-harness.ts'

const T = 1_700_000_000_000
const AGGREGATES: readonly Aggregate[] = ['count', 'sum', 'mean', 'min', 'max', 'first', 'last']
type Value = number | bigint
type Row = [time: Instant, value: PointValue]

interface Written extends Instant {
  readonly type: 'float' | 'integer'
  readonly value: Value
}

/** Quarters and integers, of which every sum can be told exactly; no integer is a float, so that a wrong one is seen. */
const value = {
  float: fc.integer({ min: -4000, max: 4000 }).map((n) => (2 * n + 1) / 4),
  integer: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: -4000, max: 4000 }).map((n): Value => n) },
    { weight: 1, arbitrary: fc.bigInt({ min: 2n ** 53n, max: 2n ** 61n }) },
  ),
}
const point = (type: 'float' | 'integer') =>
  fc.record({ type: fc.constant(type), ms: fc.nat(60).map((at) => T + at * 250), ns: fc.nat(1), value: value[type] })
const points = (most: number) =>
  fc.uniqueArray(fc.oneof(point('float'), point('integer')), {
    maxLength: most,
    selector: ({ type, ms, ns }) => `${type} ${ms} ${ns}`,
  })

/** What one series of both would hold. */
function expectedRows(written: readonly Written[]): [Instant, Value][] {
  const byTime = new Map<string, [Instant, Value]>()
  for (const type of ['float', 'integer']) {
    for (const one of written.filter((other) => other.type === type)) {
      byTime.set(`${one.ms}.${one.ns}`, [{ ms: one.ms, ns: one.ns }, one.value])
    }
  }
  return [...byTime.values()].sort(([a], [b]) => compareInstants(a, b))
}

function aggregated(name: Aggregate, rows: readonly [Instant, Value][], start: Instant | undefined): Row {
  const [first, last] = [rows[0], rows.at(-1)]
  if (first === undefined || last === undefined) throw new Error('a window of nothing')
  const pick = (isBetter: (a: Value, b: Value) => boolean) => rows.reduce((a, b) => (isBetter(b[1], a[1]) ? b : a))
  const quarters = rows.reduce((sum, [, one]) => sum + (typeof one === 'bigint' ? one * 4n : BigInt(one * 4)), 0n)
  const sum = Number(quarters) / 4
  const found: Readonly<Record<Aggregate, Row>> = {
    count: [first[0], rows.length],
    sum: [first[0], sum],
    mean: [first[0], sum / rows.length],
    min: pick((a, b) => a < b),
    max: pick((a, b) => a > b),
    first,
    last,
  }
  return start === undefined ? found[name] : [start, found[name][1]]
}

function inWindows(name: Aggregate, rows: readonly [Instant, Value][], stepMs: number): Row[] {
  const windows = Map.groupBy(rows, ([{ ms }]) => Math.floor(ms / stepMs))
  return Array.from(windows, ([window, some]) => aggregated(name, some, { ms: window * stepMs, ns: 0 }))
}

const FIELD = { tenant: 'acme', stream: 'telemetry', joined: true }

/** All pages of one device, by series. */
async function answered(store: PointStore, query: Omit<Parameters<PointStore['query']>[0], keyof typeof FIELD>) {
  const found = new Map<string, Row[]>()
  for (let cursor: string | undefined, more = true; more;) {
    const page = await store.query({ ...FIELD, ...query, ...(cursor === undefined ? {} : { cursor }) })
    for (const { field, type, times, values } of page.series) {
      const rows = found.get(`${field} ${type}`) ?? []
      found.set(`${field} ${type}`, rows)
      times.forEach((time, i) => rows.push([time, values[i] ?? 'missing']))
    }
    cursor = page.next
    more = cursor !== undefined
  }
  return Object.fromEntries(found)
}

/** All of a scan, by series; of windows one column. */
async function scanned(store: PointStore, device: string, limit: number, step?: { ms: number; name: Aggregate }) {
  const found = new Map<string, Row[]>()
  const budget = { series: 100, points: limit, bytes: 1e9, ms: 60_000 }
  const scan: PointScan = { tenant: 'acme', selector: { devices: [device] }, joined: true, budget }
  for (let cursor: string | undefined, more = true; more;) {
    const asked = { ...scan, ...(cursor === undefined ? {} : { cursor }), ...(step && { stepMs: step.ms }) }
    for await (const item of store.scan(asked)) {
      if (item.kind === 'end') {
        cursor = item.next
        more = cursor !== undefined
        continue
      }
      for (const { field, type, ms, ns, columns } of item.series) {
        const rows = found.get(`${field} ${type}`) ?? []
        found.set(`${field} ${type}`, rows)
        ms.forEach((time, row) => {
          const mean = (columns.sum?.[row] ?? 0) / (columns.count?.[row] ?? 0)
          const column = columns[step?.name ?? 'value']
          const one = step?.name === 'mean' ? mean : valueAt(column ?? [], row, step?.name === 'count' ? 'float' : type)
          rows.push([{ ms: time, ns: ns?.[row] ?? 0 }, one])
        })
      }
    }
  }
  return Object.fromEntries(found)
}

const of = (name: string, rows: Row[]) => (rows.length === 0 ? {} : { [name]: rows })

/** Writes what is mixed in one field beside a float, an integer and a text, and asks for all of it in every way. */
export async function checkJoined(
  store: PointStore,
  rest: () => Promise<void>,
  device: string,
  [written, limit, stepMs]: readonly [readonly (readonly Written[])[], limit: number, stepMs: number],
): Promise<void> {
  const ofField = (type: 'float' | 'integer' | 'string', field: string) => seriesOf(type, { device, field })
  const beside: TestPoint[] = [
    { series: ofField('float', 'a'), ms: T, ns: 0, value: 1.5 },
    { series: ofField('string', 'n'), ms: T, ns: 0, value: 'text' },
    { series: ofField('integer', 'z'), ms: T, ns: 0, value: 2n ** 60n },
  ]
  await store.write(batchOf(beside))
  for (const some of written) {
    await store.write(batchOf(some.map((one) => ({ ...one, series: ofField(one.type, 'n') }))))
    await rest()
  }
  // Of two values for one identity the later one counts.
  const rows = expectedRows(written.flat())
  const types = new Set(written.flat().map(({ type }) => type))
  const [only] = types
  const type: SeriesType = types.size > 1 ? 'number' : (only ?? 'float')
  const at: Instant = { ms: T, ns: 0 }
  const all = {
    'a float': [[at, 1.5]],
    'n string': [[at, 'text']],
    ...of(`n ${type}`, rows),
    'z integer': [[at, 2n ** 60n]],
  }
  expect(await answered(store, { device, limit })).toEqual(all)
  expect(await scanned(store, device, limit)).toEqual(all)
  expect(await answered(store, { device, limit, field: 'n', kind: 'number' })).toEqual(of(`n ${type}`, rows))
  for (const name of AGGREGATES) {
    const after = name === 'count' ? 'integer' : name === 'sum' || name === 'mean' ? 'float' : type
    const query = { device, limit, field: 'n', kind: 'number' as const }
    const whole = rows.length === 0 ? [] : [aggregated(name, rows, undefined)]
    expect(await answered(store, { ...query, aggregate: { function: name } })).toEqual(of(`n ${after}`, whole))
    const windows = inWindows(name, rows, stepMs)
    const aggregate = { function: name, intervalMs: stepMs }
    expect(await answered(store, { ...query, aggregate })).toEqual(of(`n ${after}`, windows))
    expect((await scanned(store, device, limit, { ms: stepMs, name }))[`n ${type}`] ?? []).toEqual(windows)
  }
}

/** Floats and integers of one field as one series. */
export function describeJoined(
  storeName: string,
  make: MakePointsHarness,
  numRuns = lasting({ gate: 4, long: 300 }),
): void {
  describe(`${storeName}: integers and floats of one field`, { timeout: 600_000 }, () => {
    it('are one series for whoever asks for that, in every answer as if one had held them', async () => {
      const harness = await make()
      const store = await openStore(harness)
      let run = 0
      const some = fc.tuple(fc.array(points(60), { minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 30 }))
      const property = fc.asyncProperty(
        some,
        fc.constantFrom(250, 1000, 3600_000),
        async ([written, limit], stepMs) => {
          run += 1
          await checkJoined(store, () => harness.rest(), `pump-${run}`, [written, limit, stepMs])
        },
      )
      await fc.assert(property, { numRuns })
    })

    it('go on where a page ended when the first integer came between', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const [float, integer] = [seriesOf('float', { field: 'n' }), seriesOf('integer', { field: 'n' })]
      const at = (series: typeof float, second: number, one: Value): TestPoint => {
        return { series, ms: T + second * 1000, ns: 0, value: one }
      }
      await store.write(batchOf([0.5, 1.5, 2.5, 3.5].map((one, i) => at(float, i * 2, one))))
      const query = { ...FIELD, device: 'pump-1', limit: 2 }
      const first = await store.query(query)
      await store.write(batchOf([at(integer, 1, 1), at(integer, 5, 2n ** 53n + 1n)]))
      const next = await store.query({ ...query, limit: 10, cursor: first.next ?? '' })
      expect([...first.series, ...next.series].map(({ type, values }) => [type, values])).toEqual([
        ['float', [0.5, 1.5]],
        ['number', [2.5, 2n ** 53n + 1n, 3.5]],
      ])
    })
  })
}
