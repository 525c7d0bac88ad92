import { expect, it } from 'vitest'
import { counter, World } from './harness.ts'

it('counts and shows records that were gone before they were read', async () => {
  const world = new World()
  await world.publish([{ a: 1 }, { a: 2 }, { a: 3 }])
  world.log.kept[0] = 2
  const worker = await world.work()
  await world.settled()
  expect(worker.status()).toEqual({ ok: true, detail: '2 records were deleted before they were read' })
  expect(await counter(worker.options, 'gap_records_total')).toBe(2)
})

it('commits the position behind a gap by itself, so that it is met once', async () => {
  const world = new World()
  await world.publish([{ a: 1 }, { a: 2 }])
  world.log.kept[0] = 2
  const first = await world.work()
  await world.settled()
  expect(world.log.committed).toEqual([2])
  await first.close()
  const second = await world.work()
  await world.publish([{ a: 3 }])
  await world.settled()
  expect(second.status()).toEqual({ ok: true })
})
