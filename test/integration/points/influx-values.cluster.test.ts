import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import type { PointStore } from '../../../shared/points/port.ts'
import { fieldProblem } from '../../../shared/points/influx/names.ts'
import type { FieldType, PointValue, Series } from '../../../shared/telemetry.ts'
import { allPages, batchOf, everySecond, seriesOf, streamOf, valuesOf } from '../../contract/points-harness.ts'
import { callInflux, freshBucket, openInflux } from '../../contract/points-influx-harness.ts'
import { useInfluxdb } from './influx-harness.ts'
import { tenantName, wideName } from '../../names.ts'
import { PATIENCE } from '../../patience.ts'

const server = useInfluxdb()
const awkward = fc.constantFrom(
  '$"',
  '"',
  '\\',
  ',',
  '=',
  ' ',
  '\n',
  '\r',
  '\t',
  '\0',
  '\x10',
  '\x1a',
  '${',
  "'",
  '#',
  'é',
  '👩‍🚀',
)
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.array(fc.oneof(awkward, fc.string({ maxLength: 3 })), { maxLength: 8 }).map((parts) => parts.join('')),
  fc.constant(''),
)
const field = fc.oneof(
  {
    weight: 4,
    arbitrary: text
      .map((chars) => chars.replace(/\p{Cc}/gu, '\\'))
      .filter((chars) => fieldProblem(chars) === undefined),
  },
  { weight: 1, arbitrary: fc.constantFrom('', 'time', '_', '_field', '_value', '_time') },
)
const value: Readonly<Record<FieldType, fc.Arbitrary<PointValue>>> = {
  float: fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(0, -0, 5e-324, -5e-324, 2.225e-308, 1e308, -Number.MAX_VALUE, 0.1 + 0.2, 2 ** 53, 1e21),
  ),
  integer: fc
    .oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.constantFrom(0n, 2n ** 63n - 1n, -(2n ** 63n)))
    .map((whole) => (Number.isSafeInteger(Number(whole)) ? Number(whole) : whole)),
  boolean: fc.boolean(),
  string: text,
}
const types = Object.keys(value) as FieldType[]

interface Case {
  readonly names: Pick<Series, 'tenant' | 'device' | 'stream'>
  readonly fields: readonly {
    readonly field: string
    readonly type: FieldType
    readonly values: readonly PointValue[]
  }[]
}

const fields = fc.uniqueArray(
  fc
    .constantFrom(...types)
    .chain((type) =>
      fc.record({ field, type: fc.constant(type), values: fc.array(value[type], { minLength: 1, maxLength: 12 }) }),
    ),
  { minLength: 1, maxLength: 6, selector: (one) => one.field },
)
const example: fc.Arbitrary<Case> = fc.record({
  names: fc.record({ tenant: tenantName, device: wideName, stream: wideName }),
  fields,
})

async function checkComesBack(store: PointStore, { names, fields: given }: Case, run: number): Promise<void> {
  // Names as they are, but of this run: one field has one type in a stream.
  const stream = `${run}.${names.stream}`
  const rows = given.map((one) => ({ ...one, series: seriesOf(one.type, { ...names, stream, field: one.field }) }))
  const points = rows.flatMap(({ series, values }) =>
    values.map((one, i) => ({ series, ms: 1_700_000_000_000 + (i >> 1), ns: (i % 2) * 999_999, value: one })),
  )
  points.sort((a, b) => a.ms - b.ms || a.ns - b.ns)
  expect(await store.write(batchOf(points))).toEqual([])
  const listed = rows.map((row) => ({ stream, field: row.field, type: row.type }))
  const known = (await store.series(names.tenant, names.device)).filter((one) => one.stream === stream)
  expect(known).toEqual(listed.toSorted((a, b) => (a.field < b.field ? -1 : 1)))
  for (const { series, values } of rows) expect(await valuesOf(store, series)).toEqual(values)
  const found = await allPages(store, { ...names, stream, limit: 7 })
  expect(found).toHaveLength(points.length)
}

describe('what the server gives back is what went in', () => {
  it('for every name, field and value', async () => {
    const { store } = await openInflux(server(), freshBucket(server()))
    let run = 0
    await fc.assert(
      fc.asyncProperty(example, (one) => checkComesBack(store, one, run++)),
      { numRuns: 60, interruptAfterTimeLimit: 90_000, markInterruptAsFailure: false },
    )
  })

  it('for texts of which some are empty among others that are equal', async () => {
    const { store } = await openInflux(server(), freshBucket(server()))
    const texts = ['x', '', 'y', 'y', '', '', 'y', '\r', '\r\n', '\n', '\x1a', '\x10', '\x10Z', '\x10\x1a0', '']
    await store.write(everySecond(seriesOf('string'), texts))
    expect(await valuesOf(store, seriesOf('string'))).toEqual(texts)
  })

  it('for tenants and streams whose dots would meet', async () => {
    const { store } = await openInflux(server(), freshBucket(server()))
    const one = seriesOf('float', { tenant: 'a.b', stream: 'c' })
    const other = seriesOf('float', { tenant: 'a', stream: 'b.c' })
    await store.write(batchOf([one, other].map((series, value) => ({ series, ms: 1, ns: 0, value }))))
    expect([await valuesOf(store, one), await valuesOf(store, other)]).toEqual([[0], [1]])
    await store.delete({ tenant: 'a' })
    expect([await valuesOf(store, one), await valuesOf(store, other)]).toEqual([[0], []])
    await expect(store.write(everySecond({ ...one, tenant: 'a:b' }, [1]))).resolves.toMatchObject([
      { index: 0, error: { code: 'name_invalid' } },
    ])
    expect(await store.query({ ...streamOf({ ...one, tenant: 'a:b' }), limit: 1 })).toMatchObject({ series: [] })
  })

  it('for a point that is in a batch twice, in one line or not', async () => {
    const { store } = await openInflux(server(), freshBucket(server()))
    const [a, b, again] = [
      seriesOf('float', { field: 'a' }),
      seriesOf('float', { field: 'b' }),
      { ...seriesOf('float'), field: 'a' },
    ]
    const points = [a, b, again, b, a].map((series, value) => ({ series, ms: 1, ns: 0, value }))
    await store.write(batchOf(points))
    expect([await valuesOf(store, a), await valuesOf(store, b)]).toEqual([[4], [3]])
  })
})

describe('aggregates at the edges', () => {
  it('sums integers beyond 64 bits without wrapping, by windows and whole, over pages', async () => {
    const { store } = await openInflux(server(), freshBucket(server()))
    const large = 2n ** 62n
    const series = seriesOf('integer')
    await store.write(everySecond(series, [large, large, large, 1, 2], 0))
    const query = { ...streamOf(series), limit: 1 }
    const sums = await allPages(store, { ...query, aggregate: { function: 'sum', intervalMs: 2000 } })
    expect(sums.map(([, { ms }, value]) => [ms, value])).toEqual([
      [0, 2 ** 63],
      [2000, 2 ** 62],
      [4000, 2],
    ])
    const mean = await store.query({ ...query, aggregate: { function: 'mean' } })
    expect(mean.series[0]?.values).toEqual([(3 * 2 ** 62) / 5])
  })

  it('has the last window of the calendar, and weeks and years from 1970 on', async () => {
    const { store } = await openInflux(server(), freshBucket(server()))
    const series = seriesOf('float')
    const times = [0, 604_799_999, 604_800_000, 9_223_372_036_853]
    await store.write(batchOf(times.map((ms, value) => ({ series, ms, ns: 5, value }))))
    for (const intervalMs of [604_800_000, 86_400_000, 31_536_000_000, 3_153_600_000_000, 9_223_372_036_854]) {
      const found = await allPages(store, {
        ...streamOf(series),
        limit: 10,
        aggregate: { function: 'count', intervalMs },
      })
      const starts = times.map((ms) => Math.floor(ms / intervalMs) * intervalMs)
      expect(found.map(([, { ms }]) => ms)).toEqual([...new Set(starts)])
      expect(found.map(([, , count]) => count)).toEqual(
        [...new Set(starts)].map((start) => starts.filter((one) => one === start).length),
      )
    }
  })
})

describe('the bucket', () => {
  it('keeps points as long as it is told, and refuses older ones without asking the server for each', async () => {
    const bucket = freshBucket(server())
    const { store, metrics } = await openInflux(server(), bucket, { retentionMs: 3_600_000 })
    const series = seriesOf('float')
    const now = Date.now()
    const old = Array.from({ length: 2000 }, (_, i) => ({ series, ms: now - 7_200_000 + i, ns: 0, value: i }))
    const rejected = await store.write(batchOf([...old, { series, ms: now, ns: 0, value: -1 }]))
    expect(rejected).toHaveLength(2000)
    expect(new Set(rejected.map(({ error }) => error.code))).toEqual(new Set(['store_rejected']))
    expect(await valuesOf(store, series)).toEqual([-1])
    const text = await metrics.getSingleMetricAsString('sluice_influx_requests_total')
    expect(text).toContain('what="write",status="204"} 1')
    const again = await openInflux(server(), bucket, { retentionMs: 86_400_000 })
    expect(await again.store.write(batchOf(old.slice(0, 2)))).toEqual([])
  })

  it('has shards of the length that it is told, and else those that it has', async () => {
    const bucket = freshBucket(server())
    const shardHours = async () => {
      const found = await callInflux(server(), 'GET', `/api/v2/buckets?org=${server().org}&name=${bucket}`)
      type Found = { buckets: { retentionRules: { everySeconds: number; shardGroupDurationSeconds: number }[] }[] }
      const rule = ((await found.json()) as Found).buckets[0]?.retentionRules[0]
      return [(rule?.shardGroupDurationSeconds ?? 0) / 3_600, (rule?.everySeconds ?? 0) / 86_400]
    }
    await openInflux(server(), bucket, { retentionMs: 30 * 86_400_000 })
    expect(await shardHours()).toEqual([24, 30])
    await openInflux(server(), bucket, { shardMs: 6 * 3_600_000 })
    expect(await shardHours()).toEqual([6, 30])
    await openInflux(server(), bucket, { retentionMs: 40 * 86_400_000 })
    expect(await shardHours()).toEqual([6, 40])
    await openInflux(server(), bucket)
    expect(await shardHours()).toEqual([6, 40])
  })

  it('loses what is past the retention of a tenant, and nothing else', async () => {
    const bucket = freshBucket(server())
    const { store } = await openInflux(server(), bucket)
    const [expiring, other] = [seriesOf('float'), seriesOf('float', { tenant: 'other' })]
    const points = [expiring, other].flatMap((series) =>
      [Date.now() - 10_000_000, Date.now()].map((ms, value) => ({ series, ms, ns: 0, value })),
    )
    await store.write(batchOf(points))
    await store.setRetention('acme', 3_600_000)
    const { metrics } = await openInflux(server(), bucket, { expireEveryMs: 3_600_000 })
    await vi.waitFor(async () => {
      const requests = await metrics.getSingleMetricAsString('sluice_influx_requests_total')
      expect(requests).toContain('what="delete",status="204"} 1')
    }, PATIENCE)
    await store.setRetention('acme', undefined)
    expect(await valuesOf(store, expiring)).toEqual([1])
    expect(await valuesOf(store, other)).toEqual([0, 1])
    await expect(store.snapshot('/anywhere')).rejects.toMatchObject({ code: 'unsupported' })
  })
})
