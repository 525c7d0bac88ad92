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
  type MakePointsHarness,
} from './points-harness.ts'

const START = 1_700_000_000_000
const at = (second: number, ns = 0) => ({ ms: START + second * 1000, ns })

export function describePointQueries(name: string, make: MakePointsHarness): void {
  describe(`${name}: querying`, () => {
    it('includes from and excludes to, to the nanosecond', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const series = seriesOf('float')
      await store.write(batchOf([0, 1, 2, 3].map((ns) => ({ series, ms: START, ns, value: ns }))))
      const query = { ...streamOf(series), from: { ms: START, ns: 1 }, to: { ms: START, ns: 3 }, limit: 10 }
      expect((await allPages(store, query)).map(([, , value]) => value)).toEqual([1, 2])
      await harness.rest()
      expect((await allPages(store, query)).map(([, , value]) => value)).toEqual([1, 2])
    })

    it('ends a page where it has enough text, and goes on behind it', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const long = seriesOf('string', { field: 'long' })
      const text = 'é'.repeat(8_000)
      for (let from = 0; from < 400; from += 50) {
        const points = Array.from({ length: 50 }, (_, i) => ({
          series: long,
          ...at(from + i),
          value: `${from + i} ${text}`,
        }))
        await store.write(batchOf(points))
      }
      await store.write(batchOf([{ series: seriesOf('float', { field: 'short' }), ...at(0), value: 1 }]))
      const query = { ...streamOf(long), limit: 10_000 }
      for (const aggregate of [undefined, { function: 'last', intervalMs: 1_000 } as const]) {
        const asked = aggregate === undefined ? query : { ...query, aggregate }
        const first = await store.query(asked)
        const characters = pointsIn(first).reduce((sum, [, , value]) => sum + String(value).length, 0)
        expect(characters).toBeGreaterThan(500_000)
        expect(characters).toBeLessThan(560_000)
        const all = await allPages(store, asked)
        expect(all.map(([, , value]) => Number(String(value).split(' ')[0]))).toEqual([...Array(400).keys(), 1])
      }
    })

    it('gives fields in code unit order, each in time order, and one field when asked', async () => {
      const store = await openStore(await make())
      // In UTF-8 the last two stand the other way round.
      const fields = ['B', 'a', 'b', '\u{1f600}', '\uff5e']
      const shuffled = ['b', '\uff5e', 'B', '\u{1f600}', 'a']
      const points = [2, 1].flatMap((second) => shuffled.map((field) => ({ field, second })))
      await store.write(
        batchOf(
          points.map(({ field, second }) => ({ series: seriesOf('float', { field }), ...at(second), value: second })),
        ),
      )
      const found = await allPages(store, { ...streamOf(seriesOf('float')), limit: 3 })
      expect(found.map(([field, , value]) => [field, value])).toEqual(
        fields.flatMap((field) => [
          [field, 1],
          [field, 2],
        ]),
      )
      const one = await allPages(store, { ...streamOf(seriesOf('float')), field: 'b', limit: 3 })
      expect(one.map(([field]) => field)).toEqual(['b', 'b'])
      expect(await store.series('acme', 'pump-1')).toEqual(
        fields.map((field) => ({ stream: 'telemetry', field, type: 'float' })),
      )
    })

    it('says at the end that it is complete, and not before', async () => {
      const store = await openStore(await make())
      const series = seriesOf('float')
      await store.write(everySecond(series, [1, 2, 3, 4]))
      const query = { ...streamOf(series), limit: 2 }
      const first = await store.query(query)
      expect(first.complete).toBe(false)
      const second = await store.query({ ...query, cursor: first.next ?? '' })
      expect(second).toMatchObject({ complete: true, next: undefined })
      expect([...pointsIn(first), ...pointsIn(second)].map(([, , value]) => value)).toEqual([1, 2, 3, 4])
      expect(await store.query({ ...query, device: 'unknown' })).toMatchObject({ series: [], complete: true })
    })

    it('goes on behind a cursor whatever is written in between', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const [a, b] = [seriesOf('float', { field: 'a' }), seriesOf('float', { field: 'b' })]
      await store.write(everySecond(a, [0, 1, 2, 3], START))
      await store.write(everySecond(b, [0, 1], START))
      const query = { ...streamOf(a), limit: 2 }
      const first = await store.query(query)
      // One before the cursor, one behind, one changed; and a field before.
      await store.write(batchOf([{ series: a, ms: START + 1, ns: 0, value: 9 }]))
      await store.write(batchOf([{ series: a, ms: START + 2001, ns: 0, value: 8 }]))
      await store.write(everySecond(seriesOf('float', { field: 'A' }), [7], START))
      await harness.rest()
      const rest = await allPages(store, { ...query, cursor: first.next ?? '' })
      expect(pointsIn(first).map(([, , value]) => value)).toEqual([0, 1])
      expect(rest.map(([field, , value]) => `${field}${String(value)}`)).toEqual(['a2', 'a8', 'a3', 'b0', 'b1'])
    })

    it('refuses a cursor that is not its own', async () => {
      const store = await openStore(await make())
      const series = seriesOf('float')
      await store.write(everySecond(series, [1, 2, 3]))
      const query: PointQuery = { ...streamOf(series), limit: 1 }
      const next = (await store.query(query)).next ?? ''
      const others: PointQuery[] = [
        { ...query, cursor: '' },
        { ...query, cursor: 'nonsense' },
        { ...query, cursor: Buffer.from('[1,2,3]').toString('base64url') },
        { ...query, cursor: `${next}${next}` },
        { ...query, device: 'another', cursor: next },
        { ...query, from: at(0), cursor: next },
        { ...query, aggregate: { function: 'mean' }, cursor: next },
      ]
      for (const other of others) await expect(store.query(other)).rejects.toMatchObject({ code: 'cursor_invalid' })
      expect(pointsIn(await store.query({ ...query, limit: 2, cursor: next }))).toHaveLength(2)
    })

    it.for([
      { limit: 0 },
      { limit: 10_001 },
      { limit: 1.5 },
      { from: { ms: -1, ns: 0 } },
      { to: { ms: 0, ns: 1_000_000 } },
      { aggregate: { function: 'mean', intervalMs: 0 } },
      { aggregate: { function: 'mean', intervalMs: 0.5 } },
      { aggregate: { function: 'median' as Aggregate } },
    ] as Partial<PointQuery>[])('refuses %j', async (part) => {
      const store = await openStore(await make())
      await expect(store.query({ ...streamOf(seriesOf('float')), limit: 10, ...part })).rejects.toMatchObject({
        code: 'bad_request',
      })
    })
  })
}
