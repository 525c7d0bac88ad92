import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { toSluiceError } from '../../shared/errors.ts'
import type { PointStore } from '../../shared/points/port.ts'
import type { Series } from '../../shared/telemetry.ts'
import { tempFolder } from '../helpers.ts'
import { DAY, MONTH, START } from './points-filled-folder.ts'
import { allPages, batchOf, everySecond, pointsIn, seriesOf, streamOf, valuesOf } from './points-harness.ts'
import { AMPLE, scanned } from './points-scan-model.ts'
import { openEmbedded } from './points-sqlite-harness.ts'

/** Three full chunks of one series in one file, closed. */
async function threeChunks(): Promise<{ folder: string; file: string; series: Series }> {
  const folder = join(tempFolder(), 'points')
  const { store, sealed } = await openEmbedded(folder, { sealAfterPoints: 1 })
  const series = seriesOf('float')
  for (let chunk = 0; chunk < 3; chunk++) {
    const values = Array.from({ length: 500 }, (_, i) => Math.sin(chunk * 500 + i))
    await store.write(everySecond(series, values, START + chunk * 500_000))
    await sealed()
  }
  await store.close()
  return { folder, file: join(folder, MONTH), series }
}

/** Flips one bit of the points of the second chunk, as a disk would. */
function damageSecond(file: string): void {
  const db = new DatabaseSync(file)
  const row = db.prepare('SELECT data FROM chunk ORDER BY start_ms LIMIT 1 OFFSET 1').get()
  db.close()
  const data = row?.['data']
  if (!(data instanceof Uint8Array)) throw new Error('there is no second chunk')
  const bytes = readFileSync(file)
  const at = bytes.indexOf(data.subarray(0, 40))
  bytes[at + 20] = (bytes[at + 20] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

const second = (n: number) => ({ ms: START + n * 1000, ns: 0 })

describe('a damaged chunk', () => {
  it('is an error that names file, series and span; what lies before and behind is answered', async () => {
    const { folder, file, series } = await threeChunks()
    damageSecond(file)
    const { store, metric } = await openEmbedded(folder)
    const query = { ...streamOf(series), limit: 10_000 }
    for (let round = 0; round < 2; round++) {
      const asked = store.query(query)
      await expect(asked).rejects.toMatchObject({ code: 'store_corrupt' })
      await expect(asked).rejects.toThrow(file)
      await expect(asked).rejects.toThrow(
        /acme\/pump-1 telemetry float from 2023-11-20T00:08:19\.\S+ to 2023-11-20T00:16:40Z/,
      )
    }
    expect(await allPages(store, { ...query, to: { ...second(499), ns: 1 } })).toHaveLength(500)
    expect(await allPages(store, { ...query, from: second(1000) })).toHaveLength(500)
    expect(await metric('sluice_points_damaged_total')).toBe(1)
    expect(existsSync(`${file}.damaged`)).toBe(true)
  })

  it('does not end writing and sealing, nor is it forgotten by them, until its span is deleted', async () => {
    const { folder, file, series } = await threeChunks()
    damageSecond(file)
    const { store, sealed } = await openEmbedded(folder, { sealAfterPoints: 1 })
    const other = seriesOf('float', { device: 'pump-2' })
    const some = [499.5, 600, 999.5, 1200.5, 1600].map((n) => ({ series, ...second(n), value: n }))
    await store.write(batchOf([...some, { series: other, ...second(0), value: 1 }]))
    await sealed()
    expect(await valuesOf(store, other)).toEqual([1])
    const query = { ...streamOf(series), limit: 10_000 }
    await expect(store.query({ ...query, from: second(700), to: second(800) })).rejects.toMatchObject({
      code: 'store_corrupt',
    })
    expect(await allPages(store, { ...query, from: second(1000) })).toHaveLength(502)
    expect(await allPages(store, { ...query, to: { ...second(499), ns: 1 } })).toHaveLength(500)
    await store.delete({ tenant: 'acme', from: { ...second(499), ns: 1 }, to: second(1000) })
    expect(await allPages(store, query)).toHaveLength(1002)
  })
})

describe('a damaged file of chunks', () => {
  it.for([
    ['emptied', (file: string) => truncateSync(file, 0)],
    ['removed', (file: string) => rmSync(file)],
  ] as const)('that was %s is missed, and used again', async ([, damage]) => {
    const { folder, file, series } = await threeChunks()
    damage(file)
    const { store, metric, sealed } = await openEmbedded(folder, { sealAfterPoints: 1 })
    expect(await metric('sluice_points_damaged_total')).toBe(1)
    await expect(valuesOf(store, series)).rejects.toMatchObject({ code: 'store_corrupt' })
    await store.write(everySecond(series, [1, 2], START + 90 * DAY))
    await store.write(everySecond(series, [3, 4], START + DAY))
    await sealed()
    const query = { ...streamOf(series), limit: 10 }
    expect(pointsIn(await store.query({ ...query, from: second(86_400) })).map(([, , value]) => value)).toEqual([
      3, 4, 1, 2,
    ])
    await expect(valuesOf(store, series)).rejects.toMatchObject({ code: 'store_corrupt' })
  })

  it('that was cut is read as far as it goes', async () => {
    const { folder, file, series } = await threeChunks()
    const size = statSync(file).size
    truncateSync(file, size - 2048)
    const { store, metric } = await openEmbedded(folder)
    const query = { ...streamOf(series), limit: 10_000 }
    await expect(store.query(query)).rejects.toMatchObject({ code: 'store_corrupt' })
    expect(await metric('sluice_points_damaged_total')).toBe(1)
    expect(statSync(`${file}.damaged`).size).toBe(size - 2048)
    expect(await allPages(store, { ...query, from: second(10), to: second(400) })).toHaveLength(390)
  })
})

describe('a hot file that was cut', () => {
  const devices = Array.from({ length: 60 }, (_, n) => seriesOf('float', { device: `${'pump-'.repeat(20)}${n}` }))

  /** Opens the folder with the file cut at each page in turn, where it opens at all; returns how often it does. */
  async function cutAtEachPage(
    folder: string,
    look: (store: PointStore, what: string) => Promise<void>,
  ): Promise<number> {
    const file = join(folder, 'raw.db')
    const whole = readFileSync(file)
    let opened = 0
    for (let length = 4096; length < whole.length; length += 4096) {
      for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true })
      writeFileSync(file, whole.subarray(0, length))
      const store = await openOrCode(folder)
      if (typeof store === 'string') expect(store).toBe('store_corrupt')
      else {
        opened += 1
        await look(store, `${length} bytes`)
        await store.close()
      }
    }
    return opened
  }

  it('answers all of a device, or says that something is missing', { timeout: 120_000 }, async () => {
    const folder = join(tempFolder(), 'points')
    const { store } = await openEmbedded(folder)
    for (const series of devices) await store.write(everySecond(series, [1, 2, 3], START))
    await store.sync()
    await store.close()
    const opened = await cutAtEachPage(folder, async (store, what) => {
      for (const series of devices) {
        expect(['1,2,3', 'store_corrupt'], what).toContain(await codeOr(valuesOf(store, series)))
        const all = allPages(store, { ...streamOf(series), limit: 10 }).then((found) =>
          found.map(([, , value]) => value),
        )
        expect(['1,2,3', 'store_corrupt'], what).toContain(await codeOr(all))
      }
      const scan = { selector: {}, tenant: 'acme', budget: AMPLE }
      expect(await codeOr(scanned(store, scan).then(({ rows }) => rows))).toBe('store_corrupt')
    })
    expect(opened).toBeGreaterThan(0)
  })

  it('gives no new series the points of one of which the name is lost', { timeout: 120_000 }, async () => {
    const folder = join(tempFolder(), 'points')
    const { store, sealed } = await openEmbedded(folder, { sealAfterPoints: 1 })
    await store.write(batchOf(devices.map((series, n) => ({ series, ...second(n), value: n }))))
    await sealed()
    await store.sync()
    await store.close()
    const opened = await cutAtEachPage(folder, async (store, what) => {
      const others = ['one', 'other'].map((device) => seriesOf('float', { device }))
      for (const series of others) await store.write(everySecond(series, [7], START))
      for (const series of others) expect(['7', 'store_corrupt'], what).toContain(await codeOr(valuesOf(store, series)))
    })
    expect(opened).toBeGreaterThan(0)
  })
})

async function openOrCode(folder: string): Promise<PointStore | string> {
  try {
    return (await openEmbedded(folder)).store
  } catch (error) {
    return toSluiceError(error).code
  }
}

function codeOr(asked: Promise<readonly unknown[]>): Promise<string> {
  return asked.then(String, (error: unknown) => toSluiceError(error).code)
}
