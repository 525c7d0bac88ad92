import { describe, expect, it } from 'vitest'
import type { Aggregate, PointQuery } from '../../shared/points/port.ts'
import {
  allPages,
  batchOf,
  everySecond,
  openStore,
  pointsIn,
  seriesOf,
  streamOf,
  valuesOf,
  type MakePointsHarness,
} from './points-harness.ts'

const START = 1_700_000_000_000

export function describePointAggregates(name: string, make: MakePointsHarness): void {
  describe(`${name}: aggregates`, () => {
    const values = [5, -1.5, 2.25, 100, 0]
    /** Value, and the second of the point whose time it has. */
    const expected: Record<Aggregate, [value: number, second: number]> = {
      min: [-1.5, 1],
      max: [100, 3],
      mean: [21.15, 0],
      sum: [105.75, 0],
      count: [5, 0],
      first: [5, 0],
      last: [0, 4],
    }

    it.for(Object.entries(expected) as [Aggregate, [number, number]][])('%s is %j', async ([fn, [value, second]]) => {
      const harness = await make()
      const store = await openStore(harness)
      const series = seriesOf('float')
      await store.write(everySecond(series, values, START + 500))
      const query: PointQuery = { ...streamOf(series), limit: 10, aggregate: { function: fn } }
      for (let round = 0; round < 2; round++) {
        const [one, ...others] = (await store.query(query)).series
        expect(others).toEqual([])
        expect(one).toMatchObject({ times: [{ ms: START + 500 + second * 1000, ns: 0 }], values: [value] })
        const type = fn === 'count' ? 'integer' : 'float'
        expect(one?.type).toBe(type)
        await harness.rest()
      }
    })

    it.for([
      ['first', 1, 7],
      ['last', 999, 7],
      ['min', 400, -1],
      ['max', 700, 90],
    ] as const)('%s of a range has the time of that point, of equal ones the first', async ([fn, index, value]) => {
      const harness = await make()
      const store = await openStore(harness)
      const series = seriesOf('float')
      const points = Array.from({ length: 2000 }, (_, i) => ({ series, ms: START + i, ns: i % 2, value: 7 }))
      const other: Record<number, number> = { 400: -1, 900: -1, 700: 90, 701: 90, 0: -50, 1500: 200 }
      await store.write(batchOf(points.map((point, i) => ({ ...point, value: other[i] ?? 7 }))))
      await harness.rest()
      const [from, to] = [
        { ms: START + 1, ns: 0 },
        { ms: START + 1000, ns: 0 },
      ]
      const page = await store.query({ ...streamOf(series), from, to, limit: 10, aggregate: { function: fn } })
      expect(pointsIn(page)).toEqual([['float', { ms: START + index, ns: index % 2 }, value]])
      const windows = { ...streamOf(series), from, to, limit: 10, aggregate: { function: fn, intervalMs: 10_000 } }
      expect(pointsIn(await store.query(windows))).toEqual([['float', { ms: START, ns: 0 }, value]])
    })

    it('has windows aligned to 1970, none where there is no point, and pages of them', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const series = seriesOf('float')
      const seconds = [1, 2, 59, 60, 61, 185]
      await store.write(batchOf(seconds.map((second) => ({ series, ms: second * 1000, ns: 5, value: second }))))
      const aggregate = { function: 'sum' as const, intervalMs: 60_000 }
      for (const limit of [1, 2, 10]) {
        expect(await allPages(store, { ...streamOf(series), aggregate, limit })).toEqual([
          ['float', { ms: 0, ns: 0 }, 62],
          ['float', { ms: 60_000, ns: 0 }, 121],
          ['float', { ms: 180_000, ns: 0 }, 185],
        ])
        await harness.rest()
      }
      const from = { ms: 2000, ns: 0 }
      const to = { ms: 61_000, ns: 5 }
      expect(await allPages(store, { ...streamOf(series), aggregate, from, to, limit: 1 })).toEqual([
        ['float', { ms: 0, ns: 0 }, 61],
        ['float', { ms: 60_000, ns: 0 }, 60],
      ])
    })

    it('counts booleans and strings and gives their first and last, but has no mean of them', async () => {
      const store = await openStore(await make())
      await store.write(everySecond(seriesOf('boolean'), [true, false]))
      await store.write(everySecond(seriesOf('string'), ['a', 'b', 'c']))
      const query = (field: string, fn: Aggregate): PointQuery => {
        return { ...streamOf(seriesOf('float')), field, limit: 10, aggregate: { function: fn } }
      }
      const answer = async (field: string, fn: Aggregate) => (await store.query(query(field, fn))).series[0]?.values
      expect(await answer('boolean', 'count')).toEqual([2])
      expect(await answer('boolean', 'last')).toEqual([false])
      expect(await answer('string', 'first')).toEqual(['a'])
      for (const fn of ['min', 'max', 'mean', 'sum'] as const) {
        await expect(store.query(query('boolean', fn))).rejects.toMatchObject({ code: 'bad_request' })
        await expect(store.query(query('string', fn))).rejects.toMatchObject({ code: 'bad_request' })
      }
    })

    it('keeps the precision of large integers in min, max, first and last', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const series = seriesOf('integer')
      const large = 2n ** 62n + 1n
      await store.write(everySecond(series, [large, 3, -large]))
      await harness.rest()
      const answers = ['min', 'max', 'first', 'last', 'sum', 'mean'].map(async (fn) => {
        const aggregate = { function: fn as Aggregate }
        return (await store.query({ ...streamOf(series), limit: 1, aggregate })).series[0]?.values[0]
      })
      expect(await Promise.all(answers)).toEqual([-large, large, large, -large, 3, 1])
    })

    it('sees a point that was changed after others had been summed up', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const series = seriesOf('float')
      await store.write(
        everySecond(
          series,
          Array.from({ length: 1000 }, () => 1),
        ),
      )
      await harness.rest()
      await store.write(everySecond(series, [101]))
      const query: PointQuery = { ...streamOf(series), limit: 1, aggregate: { function: 'sum' } }
      for (let round = 0; round < 2; round++) {
        expect((await store.query(query)).series[0]?.values).toEqual([1100])
        await harness.rest()
      }
      expect((await valuesOf(store, series)).length).toBe(1000)
    })
  })
}
