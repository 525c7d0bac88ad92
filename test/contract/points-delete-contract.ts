import { describe, expect, it } from 'vitest'
import { batchOf, everySecond, openStore, seriesOf, valuesOf, type MakePointsHarness } from './points-harness.ts'

const DAY = 24 * 3_600_000

export function describePointDeletes(name: string, make: MakePointsHarness): void {
  describe(`${name}: deleting and keeping`, () => {
    it('deletes a range of a stream and nothing else', async () => {
      const harness = await make()
      let store = await openStore(harness)
      const a = seriesOf('float', { field: 'a' })
      const others = [{ stream: 'state' }, { device: 'pump-2' }, { tenant: 'acme-2' }].map((other) => {
        return seriesOf('float', { field: 'a', ...other })
      })
      const sameStream = seriesOf('float', { field: 'b' })
      for (const series of [a, sameStream, ...others]) await store.write(everySecond(series, [0, 1, 2, 3, 4], 0))
      await harness.rest()
      const { tenant, device, stream } = a
      const range = { tenant, device, stream, from: { ms: 1000, ns: 0 }, to: { ms: 3000, ns: 1 } }
      await store.delete(range)
      for (let round = 0; round < 2; round++) {
        expect(await valuesOf(store, a)).toEqual([0, 4])
        expect(await valuesOf(store, sameStream)).toEqual([0, 4])
        for (const other of others) expect(await valuesOf(store, other)).toEqual([0, 1, 2, 3, 4])
        await store.close()
        store = await openStore(harness)
      }
    })

    it('keeps what is written after a delete, to the same places too', async () => {
      const harness = await make()
      let store = await openStore(harness)
      const series = seriesOf('float')
      const { tenant, device } = series
      void store.write(everySecond(series, [1, 2, 3], 0))
      const deleted = store.delete({ tenant, device })
      await Promise.all([deleted, store.write(everySecond(series, [9], 1000))])
      expect(await valuesOf(store, series)).toEqual([9])
      await harness.rest()
      await store.close()
      store = await openStore(harness)
      expect(await valuesOf(store, series)).toEqual([9])
    })

    it('lists a series no more once all of it was deleted, and again once it has a point', async () => {
      const harness = await make()
      let store = await openStore(harness)
      const a = seriesOf('float', { stream: 'a', field: 'a' })
      const b = seriesOf('string', { stream: 'b', field: 'b' })
      await store.write(everySecond(a, [1]))
      await store.write(everySecond(b, ['x']))
      await store.delete({ tenant: a.tenant, device: a.device, stream: 'a' })
      const listed = async () => (await store.series(a.tenant, a.device)).map(({ field }) => field)
      expect(await listed()).toEqual(['b'])
      await store.close()
      store = await openStore(harness)
      expect(await listed()).toEqual(['b'])
      await store.delete({ tenant: a.tenant, device: a.device })
      expect(await listed()).toEqual([])
      // Behind a large one, so that a store which groups what waits takes them together.
      const large = everySecond(
        { ...a, device: 'another' },
        Array.from({ length: 50_000 }, (_, i) => i),
      )
      const writes = [large, everySecond(a, [2]), everySecond(b, ['y'])].map((batch) => store.write(batch))
      await Promise.all(writes)
      expect(await listed()).toEqual(['a', 'b'])
      expect(await valuesOf(store, a)).toEqual([2])
      expect(await valuesOf(store, b)).toEqual(['y'])
    })

    it('deletes a tenant without touching one of a similar name', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const tenants = ['acme', 'Acme', 'acme-2'].map((tenant) => seriesOf('float', { tenant }))
      for (const series of tenants) await store.write(everySecond(series, [1]))
      await harness.rest()
      await store.delete({ tenant: 'acme' })
      expect(await Promise.all(tenants.map((series) => valuesOf(store, series)))).toEqual([[], [1], [1]])
      await store.delete({ tenant: 'unknown' })
    })

    it('hides points past the retention of their tenant, and only of it', async () => {
      const harness = await make()
      let store = await openStore(harness)
      const now = Date.now()
      const days = [400, 100, 31, 10, 0]
      const tenants = ['acme', 'Acme'].map((tenant) => seriesOf('integer', { tenant }))
      for (const series of tenants) {
        await store.write(batchOf(days.map((day) => ({ series, ms: now - day * DAY, ns: 0, value: day }))))
      }
      await store.setRetention('acme', 30 * DAY)
      for (let round = 0; round < 2; round++) {
        expect(await Promise.all(tenants.map((series) => valuesOf(store, series)))).toEqual([[10, 0], days])
        expect((await store.retention()).tenants).toEqual([{ tenant: 'acme', keepMs: 30 * DAY }])
        await harness.rest()
        await store.close()
        store = await openStore(harness)
      }
      await store.setRetention('acme', undefined)
      expect((await valuesOf(store, seriesOf('integer'))).slice(-2)).toEqual([10, 0])
      expect((await store.retention()).tenants).toEqual([])
      await expect(store.setRetention('acme', -1)).rejects.toMatchObject({ code: 'bad_request' })
    })
  })
}
