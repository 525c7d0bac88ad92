import { describe, expect, it } from 'vitest'
import type { PointStore, ScanBudget } from '../../shared/points/port.ts'
import type { Kind } from '../../shared/telemetry.ts'
import {
  batchOf,
  everySecond,
  openStore,
  seriesOf,
  type MakePointsHarness,
  type PointsHarness,
} from './points-harness.ts'
import { PointModel } from './points-model.ts'
import { ALL, expectRows, SERIES, START, valueOf } from './points-scan-data.ts'
import { AMPLE, expectedRows, scanned, scannedToEnd, type Asked } from './points-scan-model.ts'

/** Points of every series, some seconds apart, over two months' files. */
async function filled(harness: PointsHarness, each: number): Promise<{ store: PointStore; model: PointModel }> {
  const store = await openStore(harness)
  const model = new PointModel()
  for (let i = 0; i < each; i++) {
    const ms = START + i * 1000 + (i >= each / 2 ? 40 * 86_400_000 : 0)
    const points = SERIES.map((series, j) => ({ series, ms: ms + j, ns: i % 3, value: valueOf(series.type, i + j) }))
    model.write(points)
    expect(await store.write(batchOf(points))).toEqual([])
  }
  await harness.rest()
  return { store, model }
}

export function describePointScans(name: string, make: MakePointsHarness): void {
  describe(`${name}: scans`, () => {
    it('brings all of a tenant in order, and nothing of another', async () => {
      const { store, model } = await filled(await make(), 10)
      await store.write(everySecond(seriesOf('float', { tenant: 'acme.b' }), [1, 2]))
      const { rows, end } = await scanned(store, { ...ALL, budget: AMPLE })
      expectRows(rows, expectedRows(model.all(), ALL))
      expect(end).toMatchObject({ by: 'all', next: undefined, spent: { series: SERIES.length, points: rows.length } })
      const none = await scanned(store, { tenant: 'nobody', selector: {}, budget: AMPLE })
      expect(none).toMatchObject({ rows: [], end: { by: 'all' } })
    })

    it.for([
      ['devices', { selector: { devices: ['pump-😀', 'pump-1', 'nobody', 'pump-1'] } }],
      ['a stream', { selector: { streams: ['other'] } }],
      ['fields by pattern', { selector: { fields: ['*o*', 'a?b'] } }],
      ['a field whose name is a pattern', { selector: { fields: ['a.b', '*loat'], streams: ['t?lemetry', 'other'] } }],
      ['nothing', { selector: { devices: [] } }],
      ['kinds', { selector: { fields: ['mixed', 'integer'] }, kinds: ['number', 'text'] as Kind[] }],
      ['a time', { from: { ms: START + 3000, ns: 1 }, to: { ms: START + 50 * 86_400_000, ns: 0 }, selector: {} }],
      ['windows', { selector: { devices: ['pump-2'] }, stepMs: 5000 }],
      ['long windows of a range', { selector: {}, stepMs: 86_400_000, from: { ms: START + 2500, ns: 0 } }],
    ] as [string, Partial<Asked>][])('can be of %s', async ([, part]) => {
      const { store, model } = await filled(await make(), 10)
      const asked: Asked = { ...ALL, ...part }
      const { rows, end } = await scanned(store, { ...asked, budget: AMPLE })
      expectRows(rows, expectedRows(model.all(), asked))
      expect(end.by).toBe('all')
    })

    it.for([
      ['series', { series: 3 }],
      ['points', { points: 7 }],
      ['bytes', { bytes: 200 }],
    ] as [keyof ScanBudget, Partial<ScanBudget>][])('ends with its budget of %s, and goes on', async ([by, part]) => {
      const { store, model } = await filled(await make(), 6)
      for (const stepMs of [undefined, 2000]) {
        const asked = { ...ALL, ...(stepMs === undefined ? {} : { stepMs }) }
        let ends = 0
        const rows = await scannedToEnd(store, { ...asked, budget: { ...AMPLE, ...part } }, (end, some) => {
          if (end.next === undefined) return expect(end.by).toBe('all')
          ends++
          expect(end).toMatchObject({ by, spent: { points: some.length } })
          expect(end.spent.series).toBe(new Set(some.map(([series]) => series)).size)
          if (by !== 'bytes') expect(end.spent[by as 'points']).toBe(part[by])
          else expect(end.spent.bytes <= 200 || some.length === 1).toBe(true)
        })
        expectRows(rows, expectedRows(model.all(), asked))
        expect(ends).toBeGreaterThan(3)
      }
    })

    it('ends with its budget of time or its signal, with a cursor, and always moves on', async () => {
      const { store, model } = await filled(await make(), 6)
      const seen = new Set<string>()
      const rows = await scannedToEnd(store, { ...ALL, budget: { ...AMPLE, ms: 1 } }, ({ by }) => seen.add(by))
      expectRows(rows, expectedRows(model.all(), ALL))
      expect([...seen].every((by) => by === 'ms' || by === 'all')).toBe(true)
      const { end } = await scanned(store, { ...ALL, budget: AMPLE, signal: AbortSignal.abort() })
      expect(['signal', 'all']).toContain(end.by)
    })

    it('has long series in pieces, of which the last may be left', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const series = [seriesOf('float'), seriesOf('string'), seriesOf('float', { device: 'pump-2' })]
      const values = Array.from({ length: 4000 }, (_, i) => i)
      for (const one of series) {
        await store.write(everySecond(one, one.type === 'string' ? values.map((i) => `${i} `.repeat(40)) : values))
      }
      await harness.rest()
      const { rows } = await scanned(store, { ...ALL, budget: AMPLE })
      expect(rows).toHaveLength(12_000)
      expect(rows.filter(([, { ms }], i) => ms !== START + (i % 4000) * 1000)).toEqual([])
      const hours = await scanned(store, { ...ALL, kinds: ['number'], stepMs: 1_000_000, budget: AMPLE })
      const counts = hours.rows.map(([, , { count, first, last, min, max, sum }]) => [
        count,
        first,
        last,
        min,
        max,
        sum,
      ])
      const expected = [0, 1, 2, 3].map((n) => [n * 1000, n * 1000 + 999] as const)
      const windows = expected.map(([a, b]) => [1000, a, b, a, b, (a + b) * 500])
      expect(counts).toEqual([...windows, ...windows])
      for await (const item of store.scan({ ...ALL, budget: AMPLE })) {
        expect(item.kind).toBe('batch')
        break
      }
      expect((await scanned(store, { ...ALL, budget: { ...AMPLE, points: 1 } })).rows).toHaveLength(1)
    })

    it('has the mean of numbers whose sum no double holds', async () => {
      const harness = await make()
      const store = await openStore(harness)
      await store.write(everySecond(seriesOf('float'), [1.5e308, 1.7e308, 1, 2]))
      await harness.rest()
      const { rows } = await scanned(store, { ...ALL, stepMs: 2000, budget: AMPLE })
      const means = rows.map(([, , { count, sum, mean }]) => [count, sum, mean])
      expect(means).toEqual([
        [2, Infinity, 1.6e308],
        [2, 3, 1.5],
      ])
    })

    it('does not see what is past the retention, and refuses what makes no sense', async () => {
      const { store } = await filled(await make(), 2)
      await store.setRetention('acme', 86_400_000)
      const now = Date.now()
      await store.write(everySecond(seriesOf('float'), [7], now))
      const { rows } = await scanned(store, { ...ALL, budget: AMPLE })
      expect(rows.map(([, { ms }]) => ms)).toEqual([now])
      const { end } = await scanned(store, { ...ALL, from: { ms: 0, ns: 0 }, budget: { ...AMPLE, points: 1 } })
      expect(end.by).toBe('all')
      const wrong = [
        { budget: { ...AMPLE, points: 0 } },
        { budget: { ...AMPLE, ms: 0.5 } },
        { stepMs: 0 },
        { kinds: ['word' as Kind] },
        { from: { ms: -1, ns: 0 } },
        { selector: { fields: Array.from({ length: 101 }, () => '*') } },
      ]
      for (const part of wrong) {
        await expect(scanned(store, { ...ALL, budget: AMPLE, ...part })).rejects.toMatchObject({ code: 'bad_request' })
      }
      for (const cursor of ['', 'x', 'WzJd', Buffer.from('["s1","",1,2,3,4,5,6]').toString('base64url')]) {
        const scan = { ...ALL, budget: AMPLE, cursor }
        await expect(scanned(store, scan)).rejects.toMatchObject({ code: 'cursor_invalid' })
      }
    })

    it('takes a cursor of its own scan alone', async () => {
      const { store } = await filled(await make(), 2)
      const { end } = await scanned(store, { ...ALL, budget: { ...AMPLE, points: 3 } })
      const scan = { ...ALL, stepMs: 1000, budget: AMPLE, cursor: end.next ?? '' }
      await expect(scanned(store, scan)).rejects.toMatchObject({ code: 'cursor_invalid' })
    })
  })
}
