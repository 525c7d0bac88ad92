import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { headersOf } from '../../../../shared/record.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { keptInMemoryOnly } from '../../../variants/forgetful-kept-values.ts'
import { CHANGES, wallText } from '../../shared/decoders/local-clocks.ts'
import { World } from './harness.ts'
import { storeThroughKills, type Kill, type Ports } from './mortal.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const SMALL = {
  INGEST_BATCH_RECORDS: '7',
  INGEST_WRITE_POINTS: '4',
  INGEST_CHECKPOINT_RECORDS: '5',
  INGEST_LINGER_MS: '0',
  INGEST_CLOSE_MS: '1',
}

interface Sending {
  readonly zone: string
  /** When the readings were made: the value of each is its place. */
  readonly made: readonly number[]
  readonly receivedMs: (at: number) => number
  /** Readings of a message. */
  readonly together?: number
}

/** What a device in the zone sends, whose clock says no zone. */
async function publish(world: World, { zone, made, receivedMs, together = 1 }: Sending): Promise<void> {
  await world.registry.policies.put({ scope: 'demo', document: { time_zone: zone }, from: 0, who: 'test' })
  const names = { tenant: 'demo', device: 'first', stream: 'telemetry' }
  const headers = headersOf(names, 'first', 't/demo/first/telemetry', world.registry.policies)
  const records: LogRecord[] = []
  for (let from = 0; from < made.length; from += together) {
    const part = made.slice(from, from + together)
    const readings = part.map((at, i) => ({ time: wallText(zone, at), v: from + i }))
    const value = Buffer.from(JSON.stringify(together === 1 ? readings[0] : readings))
    records.push({ key: 'demo/first', value, ms: receivedMs(part.at(-1) ?? 0), ns: 0, headers })
  }
  await world.log.append('telemetry.raw', records)
}

/** When the values are stored for, in their order. */
function stored(world: World): number[] {
  const points = Array.from(world.points.visible, ([id, value]) => [Number(value), id] as const)
  return points.sort(([a], [b]) => a - b).map(([, id]) => Number(/@(\d+)\.0$/.exec(id)?.[1]))
}

function minutesAround({ at, minutes }: (typeof CHANGES)[number]): number[] {
  return Array.from({ length: 2 * minutes }, (_, i) => Date.parse(at) + (i - minutes) * MINUTE)
}

describe.each(CHANGES)('$zone: one reading a minute through what comes twice', (change) => {
  const made = minutesAround(change)
  const lead = Array.from({ length: 5 }, (_, i) => (made[0] ?? 0) + (i - 5) * MINUTE)
  const { zone } = change

  it.each([1, 7, 130])('as it is made, and as a backlog, %d to a message: a point a minute', async (together) => {
    const all = [...lead, ...made]
    const ways = [
      ...(together === 1 ? [(at: number) => at + 2_000] : []),
      () => (made.at(-1) ?? 0) + 5 * HOUR,
      (at: number) => (made.at(-1) ?? 0) + 400 * HOUR + at / 1000,
    ]
    for (const receivedMs of ways) {
      const world = new World()
      await publish(world, { zone, made: all, receivedMs, together })
      await world.work()
      await world.settled()
      expect(stored(world)).toEqual(all)
    }
  })
})

describe('a backlog through the hour that comes twice, whoever is killed at whatever call', () => {
  const change = CHANGES[0]
  const from = Date.parse(change.at) - 65 * MINUTE
  const made = Array.from({ length: 44 }, (_, i) => from + i * 3 * MINUTE)
  const kill = fc.record({ at: fc.integer({ min: 1, max: 14 }), lost: fc.boolean(), powerCut: fc.boolean() })

  async function storedBy(
    kills: readonly Kill[],
    broken: (ports: Ports) => Ports = (ports) => ports,
  ): Promise<number[]> {
    const world = new World()
    await publish(world, { zone: change.zone, made, receivedMs: (at) => at / 1_000_000 + from + 9 * HOUR })
    await storeThroughKills(world, kills, SMALL, broken)
    return stored(world)
  }

  it('is a point for each reading, at its time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(kill, { maxLength: 5 }), async (kills) => {
        expect(await storedBy(kills)).toEqual(made)
      }),
      { numRuns: 40 },
    )
  })

  it('is not where what was decided is known to one worker alone', async () => {
    const forgetful = (ports: Ports): Ports => ({ ...ports, registry: keptInMemoryOnly(ports.registry) })
    const wrong = []
    for (let at = 1; at <= 14; at++) {
      const kills = Array.from({ length: 4 }, () => ({ at, lost: false, powerCut: false }))
      wrong.push((await storedBy(kills, forgetful)).join() !== made.join())
    }
    expect(wrong).toContain(true)
  })
})
