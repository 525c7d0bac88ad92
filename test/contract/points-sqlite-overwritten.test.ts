import fc from 'fast-check'
import { expect, it } from 'vitest'
import { lasting } from '../long.ts'
import { tempFolder } from '../helpers.ts'
import { batchOf, seriesOf } from './points-harness.ts'
import { openEmbedded } from './points-sqlite-harness.ts'

const T = 1_700_000_000_000
const SERIES = [seriesOf('float'), seriesOf('string'), seriesOf('boolean')]
const VALUES = [
  [0, 1, 2],
  ['a', 'b', 'c'],
  [true, false, true],
] as const

const point = fc.record({ series: fc.nat(2), time: fc.nat(12), value: fc.nat(2) })
const rounds = fc.array(fc.array(point, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 })

it(
  'a sealed point that gets another value is counted when that is sealed, over restarts',
  { timeout: 600_000 },
  async () => {
    const property = fc.asyncProperty(rounds, async (all) => {
      const folder = tempFolder()
      const known = new Map<string, unknown>()
      for (const points of all) {
        // Another process each time.
        const { store, sealed, metric } = await openEmbedded(folder, { sealAfterPoints: 1 })
        const batch = points.flatMap(({ series: index, time, value }) => {
          const series = SERIES[index]
          return series === undefined ? [] : [{ series, ms: T + time, ns: 0, value: VALUES[index]?.[value] ?? 0 }]
        })
        await store.write(batchOf(batch))
        await sealed()
        // The last of a batch for each identity, which is sealed whole.
        const last = new Map(batch.map(({ series, ms, value }) => [`${series.type} ${ms}`, value]))
        const expected = [...last].filter(([id, value]) => known.has(id) && known.get(id) !== value).length
        await expect.poll(() => metric('sluice_points_overwritten_total')).toBe(expected)
        for (const [id, value] of last) known.set(id, value)
        await store.close()
      }
    })
    await fc.assert(property, { numRuns: lasting({ gate: 4, long: 300 }), endOnFailure: true })
  },
)
