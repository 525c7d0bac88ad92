import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, vi } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { allPages, batchOf, everySecond, seriesOf, streamOf, valuesOf } from './points-harness.ts'
import { openEmbedded } from './points-sqlite-harness.ts'
import { PATIENCE } from '../patience.ts'

const DAY = 24 * 3_600_000
const MONTHS = join('chunks', '1')

function filesIn(folder: string): string[] {
  return readdirSync(join(folder, MONTHS))
    .filter((name) => name.endsWith('.db'))
    .sort()
}

describe('the folder of the embedded points', () => {
  it('belongs to one at a time', async () => {
    const folder = join(tempFolder(), 'points')
    const { store } = await openEmbedded(folder)
    await expect(openEmbedded(folder)).rejects.toMatchObject({ code: 'data_locked' })
    await expect(openEmbedded(folder)).rejects.toThrow(folder)
    await store.close()
    await (await openEmbedded(folder)).store.close()
  })

  it('of a newer version is left alone', async () => {
    const folder = tempFolder()
    await (await openEmbedded(folder)).store.close()
    const database = new DatabaseSync(join(folder, 'raw.db'))
    database.exec('PRAGMA user_version = 99')
    database.close()
    await expect(openEmbedded(folder)).rejects.toMatchObject({ code: 'data_newer' })
  })

  it('that cannot be made says so', async () => {
    const file = join(tempFolder(), 'file')
    writeFileSync(file, 'text')
    await expect(openEmbedded(join(file, 'points'))).rejects.toMatchObject({ code: 'data_unwritable' })
  })

  it('without its hot database, or with something else in its place, is refused rather than begun anew', async () => {
    const folder = tempFolder()
    const { store, sealed } = await openEmbedded(folder, { sealAfterPoints: 1 })
    await store.write(everySecond(seriesOf('float'), [1]))
    await sealed()
    await store.close()
    rmSync(join(folder, 'raw.db'))
    await expect(openEmbedded(folder)).rejects.toMatchObject({ code: 'store_corrupt' })
    writeFileSync(join(folder, 'raw.db'), '')
    await expect(openEmbedded(folder)).rejects.toMatchObject({ code: 'store_corrupt' })
    writeFileSync(join(folder, 'raw.db'), 'not a database, but long enough to be taken for one'.repeat(100))
    await expect(openEmbedded(folder)).rejects.toMatchObject({ code: 'store_corrupt' })
  })

  it('names a damaged chunk file, and the rest can be read', async () => {
    const folder = tempFolder()
    const { store, sealed } = await openEmbedded(folder, { sealAfterPoints: 1 })
    const series = seriesOf('float')
    await store.write(batchOf([0, 40 * DAY].map((ms) => ({ series, ms, ns: 0, value: ms }))))
    await sealed()
    await store.close()
    writeFileSync(join(folder, MONTHS, '1970-01.db'), Buffer.alloc(8192, 'x'))
    const again = await openEmbedded(folder)
    await expect(valuesOf(again.store, series)).rejects.toMatchObject({ code: 'store_corrupt' })
    const later = { ...streamOf(series), from: { ms: 35 * DAY, ns: 0 }, limit: 10 }
    expect((await allPages(again.store, later)).map(([, , value]) => value)).toEqual([40 * DAY])
  })
})

describe('files by tenant and month', () => {
  it('are made for the time of the points, and dropped whole when they expire', async () => {
    const folder = tempFolder()
    const { store, sealed } = await openEmbedded(folder, { sealAfterPoints: 1 })
    const series = seriesOf('integer')
    const now = Date.now()
    const ages = [800, 400, 90, 0]
    await store.write(batchOf(ages.map((age) => ({ series, ms: now - age * DAY, ns: 0, value: age }))))
    await sealed()
    const all = ages.map((age) => `${new Date(now - age * DAY).toISOString().slice(0, 7)}.db`)
    expect(filesIn(folder)).toEqual(all)
    await store.setRetention('acme', 200 * DAY)
    expect(filesIn(folder)).toEqual(all.slice(2))
    // Written late, and past its retention: not kept, and no file is made for it.
    await store.write(batchOf([{ series, ms: now - 800 * DAY, ns: 0, value: 1 }]))
    await sealed()
    expect(filesIn(folder)).toEqual(all.slice(2))
    expect(await valuesOf(store, series)).toEqual([90, 0])
  })

  it('can be more than are open at a time', async () => {
    const folder = tempFolder()
    const { store, sealed } = await openEmbedded(folder, { sealAfterPoints: 1 })
    const series = seriesOf('float')
    const months = Array.from({ length: 120 }, (_, month) => Date.UTC(2000, month))
    await store.write(batchOf(months.map((ms, value) => ({ series, ms, ns: 0, value }))))
    await sealed()
    expect(filesIn(folder)).toHaveLength(120)
    expect(await valuesOf(store, series)).toEqual(months.map((_, i) => i))
  })

  it('are gone when a delete leaves nothing in them', async () => {
    const folder = tempFolder()
    const { store, sealed } = await openEmbedded(folder, { sealAfterPoints: 1 })
    const [a, b] = [seriesOf('float', { device: 'a' }), seriesOf('float', { device: 'b' })]
    await store.write(batchOf([a, b].flatMap((series) => [0, 40 * DAY].map((ms) => ({ series, ms, ns: 0, value: 1 })))))
    await sealed()
    await store.delete({ tenant: 'acme', device: 'a' })
    expect(filesIn(folder)).toEqual(['1970-01.db', '1970-02.db'])
    await store.delete({ tenant: 'acme', device: 'b', to: { ms: 31 * DAY, ns: 0 } })
    expect(filesIn(folder)).toEqual(['1970-02.db'])
    await store.delete({ tenant: 'acme' })
    expect(filesIn(folder)).toEqual([])
  })
})

describe('sealing', () => {
  it('happens by age too, and gives the space of the batches back', async () => {
    const folder = tempFolder()
    const first = await openEmbedded(folder)
    const series = Array.from({ length: 20 }, (_, i) => seriesOf('float', { field: `f${i}` }))
    for (let i = 0; i < 20; i++) {
      const points = Array.from({ length: 5000 }, (_, n) => ({
        series: series[n % 20] ?? seriesOf('float'),
        ms: i * 1e6 + n,
        ns: 0,
        value: n,
      }))
      await first.store.write(batchOf(points))
    }
    await first.store.close()
    const raw = join(folder, 'raw.db')
    const before = statSync(raw).size
    expect(before).toBeGreaterThan(2_000_000)
    const { store, sealed } = await openEmbedded(folder, { sealAfterMs: 0 })
    await sealed()
    await vi.waitUntil(() => statSync(raw).size < 200_000, PATIENCE)
    const counted = {
      ...streamOf(series[0] ?? seriesOf('float')),
      limit: 100,
      aggregate: { function: 'count' as const },
    }
    expect((await store.query(counted)).series.map(({ values }) => values[0])).toEqual(series.map(() => 5000))
  })

  it('brings nothing back that is deleted while it goes on', async () => {
    const { store, sealed } = await openEmbedded(tempFolder(), { sealAfterPoints: 1 })
    const series = seriesOf('integer')
    const count = 200_000
    await store.write(
      everySecond(
        series,
        Array.from({ length: count }, (_, i) => i),
        0,
      ),
    )
    const rounds = 20
    for (let i = 0; i < rounds; i++) {
      const from = count - 1 - i * 1000
      await store.delete({ tenant: 'acme', from: { ms: from * 1000, ns: 0 }, to: { ms: (from + 1) * 1000, ns: 0 } })
      // A few turns of the thread, so that the next one meets the sealing elsewhere.
      for (let turn = 0; turn < i; turn++) await store.series('acme', 'pump-1')
    }
    await sealed()
    const query = { ...streamOf(series), limit: 1, aggregate: { function: 'count' as const } }
    expect((await store.query(query)).series[0]?.values).toEqual([count - rounds])
  })

  it('merges small chunks instead of gathering them', async () => {
    const folder = tempFolder()
    const { store, sealed } = await openEmbedded(folder, { sealAfterPoints: 1 })
    const series = seriesOf('integer')
    for (let i = 0; i < 60; i++) {
      await store.write(
        everySecond(
          series,
          Array.from({ length: 20 }, (_, n) => i * 20 + n),
          i * 20_000,
        ),
      )
      await sealed()
    }
    expect(await valuesOf(store, series)).toEqual(Array.from({ length: 1200 }, (_, i) => i))
    await store.close()
    const file = new DatabaseSync(join(folder, MONTHS, '1970-01.db'))
    const counts = file
      .prepare('SELECT count FROM chunk ORDER BY start_ms')
      .all()
      .map(({ count }) => Number(count))
    file.close()
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(1200)
    expect(counts.length).toBeLessThan(10)
    expect(Math.max(...counts)).toBeLessThan(750)
  })
})

describe('a snapshot', () => {
  it('is not made in a folder that holds something', async () => {
    const { store } = await openEmbedded(join(tempFolder(), 'points'))
    const folder = join(tempFolder(), 'copy')
    mkdirSync(folder)
    writeFileSync(join(folder, 'mine'), 'text')
    await expect(store.snapshot(folder)).rejects.toMatchObject({ code: 'already_exists' })
    expect(existsSync(join(folder, 'mine'))).toBe(true)
  })

  it('opens as a store with everything written before it, sealed or not', async () => {
    const folder = tempFolder()
    const { store } = await openEmbedded(join(folder, 'points'), { sealAfterPoints: 700 })
    const series = seriesOf('float')
    const other = seriesOf('string', { device: 'other' })
    await store.write(everySecond(other, ['kept']))
    for (let i = 0; i < 30; i++)
      await store.write(
        everySecond(
          series,
          Array.from({ length: 100 }, (_, n) => i * 100 + n),
          i * 100_000,
        ),
      )
    await store.delete({ tenant: 'acme', device: 'pump-1', to: { ms: 500_000, ns: 0 } })
    const during = Array.from({ length: 20 }, (_, i) => store.write(everySecond(series, [-i], 1e9 + i * 1000)))
    await Promise.all([store.snapshot(join(folder, 'copy')), ...during])
    await store.write(everySecond(series, [1], 2e9))
    const copy = await openEmbedded(join(folder, 'copy'))
    const expected = Array.from({ length: 2500 }, (_, i) => i + 500)
    const copied = await valuesOf(copy.store, series)
    expect(copied.slice(0, 2500)).toEqual(expected)
    // Of what was written meanwhile, a beginning.
    expect(copied.slice(2500)).toEqual(Array.from({ length: copied.length - 2500 }, (_, i) => -i))
    expect(await valuesOf(copy.store, other)).toEqual(['kept'])
    expect((await valuesOf(store, series)).length).toBe(2521)
  })
})
