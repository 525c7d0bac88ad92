import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PointStore } from '../../shared/points/port.ts'
import { MAX_INSTANT, type FieldType, type PointValue } from '../../shared/telemetry.ts'
import {
  allPages,
  batchOf,
  everySecond,
  openStore,
  seriesOf,
  SIMILAR_NAMES,
  streamOf,
  valuesOf,
  type MakePointsHarness,
} from './points-harness.ts'

const HOSTILE: Readonly<Record<FieldType, readonly PointValue[]>> = {
  float: [
    0,
    -0,
    0.1,
    0.1 + 0.2,
    -1e-7,
    5e-324,
    2.2250738585072014e-308,
    1e308,
    -Number.MAX_VALUE,
    2 ** 53,
    1 / 3,
    1e21,
  ],
  integer: [0, -1, 2 ** 53 - 1, -(2 ** 53 - 1), 2n ** 53n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)],
  boolean: [true, false, false, true],
  string: ['', ' ', 'on', 'ON', 'on ', 'é', 'e\u0301', '👩‍🚀', '\n"\\,=', 'x'.repeat(16_384)],
}

/** Shared with the test that known-wrong stores fail it. */
export async function checkNamesStayApart(store: PointStore): Promise<void> {
  const named = SIMILAR_NAMES.flatMap((name) => [
    // No tenant holds these, and a store may rely on it.
    ...(/[\\:#\p{Cc}]/u.test(name) ? [] : [seriesOf('float', { tenant: name })]),
    seriesOf('float', { device: name }),
    seriesOf('float', { stream: name }),
    seriesOf('float', { field: name }),
  ])
  await store.write(batchOf(named.map((series, i) => ({ series, ms: 1000, ns: 0, value: i }))))
  // Names that the defaults repeat: the later value of one identity.
  const last = new Map(
    named.map(({ tenant, device, stream, field }, i) => [[tenant, device, stream, field].join('|'), i]),
  )
  for (const series of named) {
    const { tenant, device, stream, field } = series
    expect(await valuesOf(store, series), `${tenant}|${device}|${stream}|${field}`).toEqual([
      last.get([tenant, device, stream, field].join('|')),
    ])
  }
}

/** Shared with the test that known-wrong stores fail it. */
export async function checkLaterWriteWins(store: PointStore): Promise<void> {
  const series = seriesOf('float')
  await store.write(everySecond(series, [1, 2, 3]))
  await store.write(everySecond(series, [10, 20, 30]))
  await store.write(batchOf([40, 50].map((value) => ({ series, ms: 1_700_000_000_000, ns: 0, value }))))
  expect(await valuesOf(store, series)).toEqual([50, 20, 30])
}

/** Shared with the test that known-wrong stores fail it. */
export async function checkNanosecondsMatter(store: PointStore): Promise<void> {
  const series = seriesOf('integer')
  const times = [999_999, 0, 1, 2].map((ns) => ({ series, ms: MAX_INSTANT.ms - 1, ns, value: ns }))
  const edges = [
    { series, ms: 0, ns: 0, value: 100 },
    { series, ...MAX_INSTANT, value: 200 },
  ]
  await store.write(batchOf([...times, ...edges]))
  expect(await allPages(store, { ...streamOf(series), limit: 10 })).toEqual([
    ['integer', { ms: 0, ns: 0 }, 100],
    ...[0, 1, 2, 999_999].map((ns) => ['integer', { ms: MAX_INSTANT.ms - 1, ns }, ns]),
    ['integer', MAX_INSTANT, 200],
  ])
}

export function describePointWrites(name: string, make: MakePointsHarness): void {
  describe(`${name}: writing`, () => {
    it('keeps names apart that differ in case, accents or a space at the end', async () => {
      await checkNamesStayApart(await openStore(await make()))
    })

    it('lets the later write of a point win', async () => {
      await checkLaterWriteWins(await openStore(await make()))
    })

    it('keeps nanoseconds, from 1970 to the last moment of 64 bits', async () => {
      await checkNanosecondsMatter(await openStore(await make()))
    })

    it.for(['float', 'integer', 'boolean', 'string'] as const)('gives back every %s as it was', async (type) => {
      const harness = await make()
      let store = await openStore(harness)
      const series = seriesOf(type)
      await store.write(everySecond(series, HOSTILE[type]))
      expect(await valuesOf(store, series)).toEqual(HOSTILE[type])
      await harness.rest()
      expect(await valuesOf(store, series)).toEqual(HOSTILE[type])
      await store.close()
      store = await openStore(harness)
      expect(await valuesOf(store, series)).toEqual(HOSTILE[type])
    })

    it('gives back any float', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const value = fc.oneof(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.integer().map((cents) => cents / 100),
      )
      let run = 0
      await fc.assert(
        fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 100 }), async (values) => {
          const series = seriesOf('float', { device: `run-${run++}` })
          await store.write(everySecond(series, values))
          await harness.rest()
          expect(await valuesOf(store, series)).toEqual(values)
        }),
        { numRuns: 25 },
      )
    })

    it.each([1, 2, 1000, 5000].flatMap((points) => [0.01, 0.5, 1].map((share) => ({ points, share }))))(
      'refuses $share of $points points one by one, and keeps the others',
      async ({ points, share }) => {
        const store = await openStore(await make())
        const bad = Math.max(1, points * share)
        const isBad = (i: number): boolean => Math.floor((i * bad) / points) !== Math.floor(((i + 1) * bad) / points)
        const indexes = Array.from({ length: points }, (_unused, i) => i)
        const text = seriesOf('string')
        const value = (i: number): string => (isBad(i) ? 'half of a pair: \ud800' : String(i))
        const rejected = await store.write(
          batchOf(indexes.map((i) => ({ series: text, ms: i, ns: 0, value: value(i) }))),
        )
        expect(rejected.map(({ index }) => index)).toEqual(indexes.filter(isBad))
        expect(await valuesOf(store, text)).toEqual(indexes.filter((i) => !isBad(i)).map(String))
      },
    )

    it('refuses single points and keeps the rest of the batch', async () => {
      const store = await openStore(await make())
      const [float, integer, text] = [seriesOf('float'), seriesOf('integer'), seriesOf('string')]
      const rejected = await store.write(
        batchOf([
          { series: float, ms: 1, ns: 0, value: 1 },
          { series: float, ms: 2, ns: 0, value: NaN },
          { series: float, ms: 3, ns: 0, value: -Infinity },
          { series: float, ms: 4, ns: 0, value: 'four' },
          { series: integer, ms: 5, ns: 0, value: 0.5 },
          { series: integer, ms: 6, ns: 0, value: 2n ** 63n },
          { series: float, ms: -1, ns: 0, value: 7 },
          { series: float, ms: MAX_INSTANT.ms, ns: MAX_INSTANT.ns + 1, value: 8 },
          { series: text, ms: 9, ns: 0, value: 'half of a pair: \ud800' },
          { series: text, ms: 10, ns: 0, value: 'ten' },
        ]),
      )
      expect(rejected.map(({ index, error }) => [index, error.code])).toEqual([
        [1, 'value_out_of_range'],
        [2, 'value_out_of_range'],
        [3, 'type_conflict'],
        [4, 'type_conflict'],
        [5, 'value_out_of_range'],
        [6, 'time_out_of_range'],
        [7, 'time_out_of_range'],
        [8, 'value_unsupported'],
      ])
      expect(await valuesOf(store, float)).toEqual([1])
      expect(await valuesOf(store, text)).toEqual(['ten'])
    })

    it('applies writes in the order of the calls, and what comes behind sees them', async () => {
      const store = await openStore(await make())
      const series = seriesOf('integer')
      const writes = Array.from({ length: 200 }, (_, i) => store.write(everySecond(series, [i, i])))
      const seen = valuesOf(store, series)
      const synced = store.sync()
      await Promise.all([...writes, synced])
      expect(await seen).toEqual([199, 199])
    })

    it('takes an empty batch and one of 200,000 points', async () => {
      const store = await openStore(await make())
      expect(await store.write(batchOf([]))).toEqual([])
      const series = [seriesOf('float'), seriesOf('string'), seriesOf('boolean')]
      const count = 200_000
      const batch = {
        series: Array.from({ length: count }, (_, i) => series[i % 3] ?? seriesOf('float')),
        ms: Array.from({ length: count }, (_, i) => i),
        ns: Array.from({ length: count }, () => 0),
        values: Array.from({ length: count }, (_, i): PointValue => [i / 4, `state ${i % 5}`, i % 2 === 0][i % 3] ?? 0),
      }
      expect(await store.write(batch)).toEqual([])
      for (const [i, one] of series.entries()) {
        const page = await store.query({
          ...streamOf(one),
          field: one.field,
          limit: 2,
          aggregate: { function: 'count' },
        })
        expect(page.series[0]?.values).toEqual([Math.ceil((count - i) / 3)])
      }
      const from = { ms: count - 4, ns: 0 }
      expect((await allPages(store, { ...streamOf(series[0] ?? seriesOf('float')), from, limit: 3 })).length).toBe(4)
    })

    it('forgets nothing when it is opened again', async () => {
      const harness = await make()
      const series = seriesOf('float')
      for (let round = 0; round < 4; round++) {
        const store = await openStore(harness)
        await store.write(everySecond(series, [round], round * 1000))
        await store.close()
      }
      expect(await valuesOf(await openStore(harness), series)).toEqual([0, 1, 2, 3])
    })

    it('refuses everything once it is closed', async () => {
      const store = await openStore(await make())
      const pending = store.write(everySecond(seriesOf('float'), [1]))
      await Promise.all([store.close(), store.close()])
      expect(await pending).toEqual([])
      await expect(store.write(everySecond(seriesOf('float'), [1]))).rejects.toMatchObject({ code: 'closed' })
      await expect(store.sync()).rejects.toMatchObject({ code: 'closed' })
    })
  })
}
