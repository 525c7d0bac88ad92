import { describe, expect, it } from 'vitest'
import { openEmbedded } from './points-sqlite-harness.ts'
import { batchOf, seriesOf, valuesOf } from './points-harness.ts'
import { tempFolder } from '../helpers.ts'

const DAY = 86_400_000

describe('the days that are kept at most', () => {
  it('bound what every tenant keeps, and some keep less', async () => {
    const folder = tempFolder()
    const before = await openEmbedded(folder, { sealAfterPoints: 1 })
    const now = Date.now()
    const tenants = ['acme', 'less', 'more'].map((tenant) => seriesOf('integer', { tenant }))
    const ages = [400, 90, 0]
    for (const series of tenants) {
      await before.store.write(batchOf(ages.map((age) => ({ series, ms: now - age * DAY, ns: 0, value: age }))))
    }
    await before.sealed()
    await before.store.setRetention('less', 30 * DAY)
    await before.store.setRetention('more', 1000 * DAY)
    await before.store.close()
    const { store } = await openEmbedded(folder, { sealAfterPoints: 1, keepMs: 200 * DAY })
    expect(await Promise.all(tenants.map((series) => valuesOf(store, series)))).toEqual([[90, 0], [0], [90, 0]])
    expect(await store.retention()).toEqual({
      mostMs: 200 * DAY,
      tenants: [
        { tenant: 'less', keepMs: 30 * DAY },
        { tenant: 'more', keepMs: 1000 * DAY },
      ],
    })
  })
})
