import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { allPages, batchOf, seriesOf, streamOf } from './points-harness.ts'
import { openEmbedded } from './points-sqlite-harness.ts'

describe('the weather file', () => {
  it('comes back equal, row for row, as written and sealed', async () => {
    const file = join(import.meta.dirname, '../../load-tests/data/seattle-weather-hourly.csv')
    const [head = '', ...lines] = readFileSync(file, 'utf8').trim().split('\n')
    const fields = head.split(',').slice(1)
    const rows = lines.map((line) => line.split(','))
    const points = rows.flatMap(([date = '', ...row]) =>
      fields.map((field, i) => {
        return { series: seriesOf('float', { field }), ms: Date.parse(`${date}Z`), ns: 0, value: Number(row[i]) }
      }),
    )
    const folder = tempFolder()
    for (const options of [{}, { sealAfterMs: 0 }]) {
      const { store, sealed } = await openEmbedded(folder, options)
      await store.write(batchOf(points))
      if ('sealAfterMs' in options) await sealed()
      for (const field of fields) {
        const found = await allPages(store, { ...streamOf(seriesOf('float')), field, limit: 1000 })
        const text = found.map(
          ([, { ms }, value]) => `${new Date(ms).toISOString().slice(0, 19)},${Number(value).toFixed(1)}`,
        )
        expect(text).toEqual(rows.map((row) => `${row[0]},${row[fields.indexOf(field) + 1]}`))
      }
      await store.close()
    }
  })
})
