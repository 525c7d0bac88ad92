import { expect, it, vi } from 'vitest'
import { SluiceError } from '../../../../shared/errors.ts'
import { withMethods } from '../../../../load-tests/reference/overriding.ts'
import { counter, World } from './harness.ts'
import { PATIENCE } from '../../../patience.ts'

const T = 1_769_860_800_000
const KEYS = ['demo/a', 'demo/bb', 'demo/ccc']

/** A world of three partitions, each with a few readings, and the sizes of its writes. */
async function manyPartitions(readings: number) {
  const world = new World(3)
  for (const key of KEYS)
    await world.publish(
      Array.from({ length: readings }, (_, n) => ({ ts: T + n, n })),
      key,
    )
  const write = vi.fn(world.points.write.bind(world.points))
  const sizes = () => write.mock.calls.map(([batch]) => batch.series.length)
  return { world, sizes, points: withMethods(world.points, { write }) }
}

it('a few points of several partitions go together, when they may wait', async () => {
  const { world, sizes, points } = await manyPartitions(10)
  await world.work({ points }, { INGEST_BATCH_RECORDS: '3', INGEST_LINGER_MS: '1000' })
  await world.settled()
  expect(sizes()).toEqual([30])
})

it('points are not held back when there are enough of them, nor beyond the points of a write', async () => {
  const { world, sizes, points } = await manyPartitions(2000)
  await world.work({ points }, { INGEST_BATCH_RECORDS: '100', INGEST_LINGER_MS: '1000', INGEST_WRITE_POINTS: '1500' })
  await world.settled()
  const [most, ...others] = sizes().sort((a, b) => b - a)
  expect(most).toBeLessThanOrEqual(1500)
  expect(others.length).toBeGreaterThanOrEqual(3)
  expect(others.slice(0, -1).every((size) => size >= 1000)).toBe(true)
})

it('a store that asks for a pause gets it', async () => {
  const world = new World()
  await world.publish([{ ts: T, n: 1 }])
  const calls: number[] = []
  const write = vi.fn(async (batch: Parameters<typeof world.points.write>[0]) => {
    calls.push(performance.now())
    if (calls.length === 1) throw new SluiceError('store_unavailable', 'busy', { retryAfterMs: 700 })
    return world.points.write(batch)
  })
  const worker = await world.work({ points: withMethods(world.points, { write }) })
  await vi.waitFor(async () => expect(await counter(worker.options, 'failing')).toBe(1), PATIENCE)
  await world.settled()
  expect(await counter(worker.options, 'failing')).toBe(0)
  const [first = 0, second = 0] = calls
  // A timer may fire up to a millisecond early by this clock.
  expect(second - first).toBeGreaterThanOrEqual(699)
})
