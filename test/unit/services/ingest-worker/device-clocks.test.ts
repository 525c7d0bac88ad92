import { expect, it } from 'vitest'
import { DeviceClock } from '../../../../shared/device-clock.ts'
import { World } from './harness.ts'

const T = 1_769_860_800_000
const SECOND = 1_000

/** A reading a second, by a clock that is ahead by what `errorMs` says of each, on one stream or two. */
async function publish(world: World, from: number, to: number, errorMs: (i: number) => number, streams = ['a']) {
  for (let i = from; i < to; i++) {
    const ms = T + i * SECOND
    for (const stream of streams) {
      const value = Buffer.from(JSON.stringify({ ts: ms + errorMs(i) - 100, v: i }))
      const headers = { topic: `t/demo/first/telemetry/${stream}` }
      await world.log.append('telemetry.raw', [{ key: 'demo/first', value, ms, ns: 0, headers }])
    }
  }
}

const hourBehind = (i: number) => (i < 50 ? 0 : -3_600_000)

async function clockOf(world: World, stream = 'a') {
  const [state] = await world.registry.readStreams([{ tenant: 'demo', device: 'first', stream }])
  return state?.clock === undefined ? undefined : DeviceClock.read(state.clock).state
}

it('of a device is known by its offset, and one that is set has one letter, for all of its streams', async () => {
  const world = new World()
  await publish(world, 0, 150, hourBehind, ['a', 'b'])
  await world.work()
  await world.settled()

  const [letter, ...others] = world.deadLetters()
  expect(others).toEqual([])
  expect(letter).toMatchObject({ code: 'device_clock_stepped', stage: 'clock', who: 'demo/first', ms: T + 60 * SECOND })
  expect(letter?.detail).toBe(
    'the clock of the device was set by -3600.0 s: it was -0.1 s from the receive time, and is -3600.1 s',
  )
  expect(await clockOf(world)).toEqual({
    offsetMs: -3_600_100,
    atMs: T + 149 * SECOND,
    stepped: { atMs: T + 50 * SECOND, byMs: -3_600_000 },
  })
})

it('is remembered by the next worker', async () => {
  const world = new World()
  await publish(world, 0, 55, hourBehind)
  const first = await world.work()
  await world.settled()
  await first.close()
  expect(world.deadLetters()).toEqual([])
  await publish(world, 55, 100, hourBehind)
  const second = await world.work()
  await world.settled()
  await second.close()
  expect(world.deadLetters().map(({ code }) => code)).toEqual(['device_clock_stepped'])
  await publish(world, 100, 150, hourBehind)
  await world.work()
  await world.settled()
  expect(world.deadLetters()).toHaveLength(1)
})

it('is unknown of a device that sends no time, or one that is not used', async () => {
  const world = new World()
  const payloads = [{ v: 1 }, [{ v: 1 }, { v: 2 }], { ts: 0, v: 1 }, { time: '2026-01-31 13:00:00', v: 1 }, 21.5]
  await world.publish(payloads)
  await world.work()
  await world.settled()
  expect(await clockOf(world, 'telemetry')).toBeUndefined()
})
