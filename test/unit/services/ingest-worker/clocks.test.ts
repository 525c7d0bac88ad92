import { expect, it } from 'vitest'
import { DeviceClock } from '../../../../shared/device-clock.ts'
import { World } from './harness.ts'

const T = 1_769_860_800_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const READINGS = 200

interface Trial {
  readonly name: string
  /** What the device sends as its time at this true time; undefined: nothing. */
  readonly says: (ms: number, i: number) => unknown
  /** When the reading is stored for; undefined: it is not. */
  readonly at: (ms: number, i: number) => number | undefined
  /** Letters by code. */
  readonly letters: Readonly<Record<string, number>>
  /** How far the clock is told to be ahead in the end, in seconds. */
  readonly offset?: number
}

const DELAY = 200
const y2038 = Date.UTC(2038, 0, 19, 3, 14, 7)
const drift = (i: number) => Math.round(i * MINUTE * 2e-4)
const stepping = (i: number) => [0, HOUR + 7_000, -2 * HOUR - 13_000, 0][Math.floor(i / 50)] ?? 0

/** A reading a minute that takes 200 ms to come. */
const TRIALS: readonly Trial[] = [
  { name: 'right', says: (ms) => ms, at: (ms) => ms, letters: {}, offset: -0.2 },
  { name: 'none', says: () => undefined, at: (ms) => ms + DELAY, letters: {} },
  { name: 'null', says: () => null, at: (ms) => ms + DELAY, letters: {} },
  { name: 'empty', says: () => '', at: (ms) => ms + DELAY, letters: { clock_not_set: 1 } },
  { name: 'zero', says: () => 0, at: (ms) => ms + DELAY, letters: { clock_not_set: 1 } },
  {
    name: 'in 1970, seconds since it was switched on',
    says: (_ms, i) => i * 60,
    at: (ms) => ms + DELAY,
    letters: { clock_not_set: 1 },
  },
  { name: 'in 2038', says: (_ms, i) => y2038 + i * MINUTE, at: () => undefined, letters: { time_ahead: READINGS } },
  { name: '+1 h', says: (ms) => ms + HOUR, at: (ms) => ms + HOUR, letters: {}, offset: 3599.8 },
  { name: '-1 d', says: (ms) => ms - 24 * HOUR, at: (ms) => ms - 24 * HOUR, letters: {}, offset: -86_400.2 },
  {
    name: 'stepping',
    says: (ms, i) => ms + stepping(i),
    at: (ms, i) => ms + stepping(i),
    letters: { device_clock_stepped: 3 },
    offset: -0.2,
  },
  {
    name: 'drifting by 200 ppm',
    says: (ms, i) => ms + drift(i),
    at: (ms, i) => ms + drift(i),
    letters: {},
    offset: drift(READINGS - 1) / 1000 - 0.2,
  },
]

it.each(TRIALS)('a clock that is $name', async ({ says, at, letters, offset }) => {
  const world = new World()
  const sent = Array.from({ length: READINGS }, (_, i) => T + i * MINUTE)
  const records = sent.map((ms, i) => {
    const value = Buffer.from(JSON.stringify({ ts: says(ms, i), v: i }))
    return { key: 'demo/first', value, ms: ms + DELAY, ns: 0, headers: undefined }
  })
  await world.log.append('telemetry.raw', records)
  await world.work()
  await world.settled()

  const expected = sent.flatMap((ms, i) => {
    const time = at(ms, i)
    return time === undefined ? [] : [`demo/first/telemetry/v/float@${time}.0`]
  })
  expect([...world.points.visible.keys()].sort()).toEqual(expected.sort())
  expect(Object.fromEntries(Array.from(Map.groupBy(world.deadLetters(), ({ code }) => code), ([code, all]) => [code, all.length]))).toEqual(letters) // prettier-ignore
  const [state] = await world.registry.readStreams([{ tenant: 'demo', device: 'first', stream: 'telemetry' }])
  const clock = state?.clock === undefined ? undefined : DeviceClock.read(state.clock).state

  if (offset === undefined) expect(clock).toBeUndefined()
  else expect((clock?.offsetMs ?? NaN) / 1000).toBeCloseTo(offset, 1)
})
