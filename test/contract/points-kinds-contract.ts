import { describe, expect, it } from 'vitest'
import type { PointQuery } from '../../shared/points/port.ts'
import type { Kind } from '../../shared/telemetry.ts'
import {
  allPages,
  batchOf,
  everySecond,
  openStore,
  pointsIn,
  seriesOf,
  streamOf,
  type MakePointsHarness,
} from './points-harness.ts'

/** Numbers, booleans and texts of one field. */
export function describePointKinds(name: string, make: MakePointsHarness): void {
  describe(`${name}: kinds`, () => {
    it('keeps the kinds of values of a field side by side, also at one time and after it was opened again', async () => {
      const harness = await make()
      let store = await openStore(harness)
      // As the registry says of a field whose first value was a text.
      const identity = { field: 'x', plain: 'string' as const }
      const [float, boolean, text] = [
        seriesOf('float', identity),
        seriesOf('boolean', identity),
        seriesOf('string', identity),
      ]
      const first = [
        { series: text, ms: 1, ns: 0, value: 'unavailable' },
        { series: float, ms: 1, ns: 0, value: 21.5 },
        { series: boolean, ms: 1, ns: 0, value: true },
      ]
      for (let round = 0; round < 2; round++) {
        expect(await store.write(batchOf([...first, { series: float, ms: 2, ns: 0, value: 22 }]))).toEqual([])
        await harness.rest()
        const query = { ...streamOf(float), field: 'x' }
        for (const limit of [1, 10]) {
          expect((await allPages(store, { ...query, limit })).map(([, { ms }, value]) => [ms, value])).toEqual([
            [1, 'unavailable'],
            [1, true],
            [1, 21.5],
            [2, 22],
          ])
        }
        const numbers = await allPages(store, { ...query, kind: 'number', limit: 10 })
        expect(numbers.map(([, , value]) => value)).toEqual([21.5, 22])
        expect(await store.series('acme', 'pump-1')).toEqual(
          (['string', 'boolean', 'float'] as const).map((type) => ({ stream: 'telemetry', field: 'x', type })),
        )
        await store.close()
        store = await openStore(harness)
      }
    })

    it('keeps integers of 64 bits exactly beside floats of the same field, which the query of numbers has both of', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const [float, integer] = [seriesOf('float', { field: 'n' }), seriesOf('integer', { field: 'n' })]
      const exact = [9_007_199_254_740_993n, -9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n]
      await store.write(everySecond(float, [1, 2.5]))
      await store.write(everySecond(integer, exact, 1_700_000_001_000))
      await harness.rest()
      const query: PointQuery = { ...streamOf(float), field: 'n', kind: 'number', limit: 2 }
      const found = (await allPages(store, query)).map(([, , value]) => value)
      expect(found).toHaveLength(5)
      expect(new Set(found)).toEqual(new Set([1, 2.5, ...exact]))
      // One time has a value of each; neither takes the place of the other.
      const shared = { from: { ms: 1_700_000_001_000, ns: 0 }, to: { ms: 1_700_000_001_001, ns: 0 } }
      const both = await store.query({ ...query, ...shared })
      expect(both.series.map(({ type, values }) => [type, values])).toEqual([
        ['integer', [exact[0]]],
        ['float', [2.5]],
      ])
      const newest = await store.query({ ...query, limit: 10, aggregate: { function: 'last' } })
      expect(pointsIn(newest).map(([, , value]) => value)).toEqual([exact[2], 2.5])
    })

    it('of all fields has the mean of the numbers, and names what it leaves out', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const text = seriesOf('string', { field: 'state' })
      await store.write(everySecond(seriesOf('float'), [1, 2]))
      await store.write(everySecond(seriesOf('boolean'), [true]))
      await store.write(everySecond(text, ['on', 'off']))
      await store.write(everySecond({ ...text, type: 'float' }, [10, 20]))
      await harness.rest()
      const query: PointQuery = { ...streamOf(text), limit: 10, aggregate: { function: 'mean' } }
      const page = await store.query(query)
      expect(pointsIn(page).map(([field, , value]) => [field, value])).toEqual([
        ['float', 1.5],
        ['state', 15],
      ])
      expect(page.leftOut).toEqual([
        { stream: 'telemetry', field: 'boolean', type: 'boolean' },
        { stream: 'telemetry', field: 'state', type: 'string' },
      ])
      expect((await store.query({ ...query, field: 'state' })).series).toHaveLength(1)
      for (const kind of ['text', 'word' as Kind] as const) {
        await expect(store.query({ ...query, kind })).rejects.toMatchObject({ code: 'bad_request' })
      }
    })
  })
}
