import { expect, it } from 'vitest'
import { batchOf, everySecond, seriesOf, valuesOf } from '../../contract/points-harness.ts'
import { freshBucket, openInflux } from '../../contract/points-influx-harness.ts'
import { lasting } from '../../long.ts'
import { useInfluxdb } from './influx-harness.ts'

const server = useInfluxdb()

const CASES = [1, 2, 1000, 5000].flatMap((points) =>
  [...new Set([0.01, 0.5, 1].map((share) => Math.max(1, points * share)))].map((bad) => ({ points, bad })),
)
/** In every gate: of the large ones with many bad points each is a write of its own. */
const MOST_BAD = lasting({ gate: 500, long: Infinity })

/** How often k bad of N points make the store be written to, at most. */
const most = (points: number, bad: number): number => 2 * bad * (1 + Math.ceil(Math.log2(points / bad)))

it.each(CASES.filter(({ bad }) => bad <= MOST_BAD))(
  '$bad of $points points that InfluxDB refuses are told one by one, and the others are stored',
  { timeout: 120_000 },
  async ({ points, bad }) => {
    const { store, metrics } = await openInflux(server(), freshBucket(server()))
    // Written by somebody who believes that the name is free for texts.
    const text = seriesOf('string', { field: 'x', plain: 'string' })
    const float = seriesOf('float', { field: 'x' })
    await store.write(everySecond(float, [-1], 0))
    const requests = async (): Promise<number> => {
      const values = (await metrics.getSingleMetric('sluice_influx_requests_total')?.get())?.values ?? []
      return values.filter(({ labels }) => labels['what'] === 'write').reduce((sum, { value }) => sum + value, 0)
    }
    const before = await requests()
    const isBad = (i: number): boolean => Math.floor((i * bad) / points) !== Math.floor(((i + 1) * bad) / points)
    const batch = batchOf(
      Array.from({ length: points }, (_unused, i) => {
        const time = { ms: 1000 * (i + 1), ns: 0 }
        return isBad(i) ? { series: text, ...time, value: 'bad' } : { series: float, ...time, value: i }
      }),
    )
    const rejected = await store.write(batch)
    const indexes = Array.from({ length: points }, (_unused, i) => i)
    expect(rejected.map(({ index }) => index)).toEqual(indexes.filter(isBad))
    expect(new Set(rejected.map(({ error }) => error.code))).toEqual(new Set(['type_conflict']))
    expect(rejected[0]?.error.message).toContain('already exists as type float')
    const good = indexes.filter((i) => !isBad(i))
    expect(await valuesOf(store, float)).toEqual([-1, ...good])
    const writes = (await requests()) - before
    process.stdout.write(`${bad} of ${points} bad: ${writes} writes, at most ${most(points, bad)}\n`)
    expect(writes).toBeGreaterThan(0)
    expect(writes).toBeLessThanOrEqual(most(points, bad))
  },
)
