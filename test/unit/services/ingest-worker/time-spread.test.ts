import { expect, it } from 'vitest'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { World } from './harness.ts'

const WEEK = 7 * 86_400_000
const NOW = Date.UTC(2026, 5, 1)
const LIMITS = { INGEST_DEVICE_WEEKS: '50' }

/** A reading of that time of a device, received at `received`. */
function record(ts: number, received: number, device = 'spread'): LogRecord {
  const value = Buffer.from(JSON.stringify({ ts, v: 1 }))
  return { key: `demo/${device}`, value, ms: received, ns: 0, headers: undefined }
}

/** Each of another week, from the one `from` weeks back on. */
const spread = (from: number, count: number, received: number) =>
  Array.from({ length: count }, (_, n) => record(NOW - (from + n) * WEEK, received + n))

const storedOf = ({ points }: World, device: string) =>
  [...points.visible.keys()].filter((id) => id.startsWith(`demo/${device}/`)).length

it('stores readings of so many weeks an hour, and what is of now, and refuses the others alone', async () => {
  const world = new World()
  await world.work({}, LIMITS)
  await world.log.append('telemetry.raw', [
    ...spread(10, 200, NOW),
    record(NOW - 20 * WEEK + 1, NOW + 300),
    record(NOW, NOW + 301),
    record(NOW - 1000 * WEEK, NOW + 302, 'honest'),
  ])
  await world.settled()
  expect([storedOf(world, 'spread'), storedOf(world, 'honest')]).toEqual([52, 1])
  const letters = world.deadLetters()
  expect(new Set(letters.map(({ code }) => code))).toEqual(new Set(['times_spread']))
  expect(letters).toHaveLength(150)
  expect(letters[0]?.detail).toContain('INGEST_DEVICE_WEEKS, 50; this one is of 2025-')
  // The next hour has room again.
  await world.log.append('telemetry.raw', spread(60, 200, NOW + 3_600_000))
  await world.settled()
  expect(storedOf(world, 'spread')).toBe(102)
})

it('decides alike when records are read again', async () => {
  const world = new World()
  const first = await world.work({}, { ...LIMITS, INGEST_CHECKPOINT_MS: '1000', INGEST_CLOSE_MS: '1' })
  await world.log.append('telemetry.raw', spread(10, 200, NOW))
  await world.settled()
  const before = [...world.points.visible.keys()]
  await first.close()
  await world.work({}, LIMITS)
  await world.settled()
  expect([...world.points.visible.keys()]).toEqual(before)
})

it('leaves what is replayed alone', async () => {
  const world = new World()
  await world.work({}, LIMITS)
  await world.log.append(
    'telemetry.raw',
    spread(10, 200, NOW).map((one) => ({ ...one, headers: { replay: '1' } })),
  )
  await world.settled()
  expect(storedOf(world, 'spread')).toBe(200)
})
