import fc from 'fast-check'
import { expect, it } from 'vitest'
import { recordsForOwner } from '../../../../shared/decoders/for-owner.ts'
import { SAME_TIME_HEADER } from '../../../../shared/record.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { replayOverAll } from '../../../variants/replay-over-all.ts'
import { counter, World } from './harness.ts'
import { mortal, type Ports } from './mortal.ts'

const T = 1_769_860_800_000
const OWNER = { tenant: 'demo', device: 'first', uid: 'first', stream: 'telemetry' }
const SERIES = { tenant: 'demo', device: 'first', stream: 'telemetry', field: 'v', type: 'float' as const }

/** One reading, sent by the device or replayed. */
interface Sent {
  readonly isReplay: boolean
  readonly time: number
  readonly v: number
}

function recordsOf({ isReplay, time, v }: Sent, n: number): LogRecord[] {
  const value = Buffer.from(JSON.stringify({ ts: T + time, v }))
  const live: LogRecord = { key: 'demo/first', value, ms: T + n, ns: 0, scheme: 1, headers: undefined }
  const points = { series: [SERIES], ms: [T + time], ns: [0], values: [v] }
  return isReplay
    ? [...recordsForOwner(live, OWNER, points, () => ({ [SAME_TIME_HEADER]: 'last', replay: '1' }))]
    : [live]
}

const byTime = (world: World) =>
  new Map([...world.points.visible].map(([id, value]) => [Number(id.split('@')[1]?.split('.')[0]) - T, value]))

/** The device's own values in order; a replay where there is none. */
function model(all: readonly Sent[]): Map<number, number> {
  const stored = new Map<number, number>()
  for (const { isReplay, time, v } of all) if (!isReplay || !stored.has(time)) stored.set(time, v)
  return stored
}

/** A worker that is killed at its so manyth step, and another one that does the rest. */
async function check(
  all: readonly Sent[],
  { at, lost, batch }: { at: number; lost: boolean; batch: number },
  broken: (ports: Ports) => Ports = (ports) => ports,
): Promise<void> {
  const world = new World()
  const env = { INGEST_BATCH_RECORDS: String(batch), INGEST_CHECKPOINT_RECORDS: '2', INGEST_CLOSE_MS: '1' }
  await world.log.append('telemetry.raw', all.flatMap(recordsOf))
  const { ports, killed } = mortal(world, at, lost)
  const first = await world.work(broken(ports), env)
  await Promise.race([killed, world.settled()])
  await first.close()
  world.points.crash()
  await world.work(broken(world), env)
  await world.settled()
  const expected = model(all)
  expect(byTime(world)).toEqual(expected)
  const newest = Math.max(...expected.keys())
  const [state] = [...world.registry.states.values()]
  expect(state?.fields['v']).toMatchObject({ value: expected.get(newest), time: { ms: T + newest, ns: 0 } })
  expect(world.deadLetters().filter(({ kind }) => kind !== 'warning')).toEqual([])
}

const sent = fc.record({ isReplay: fc.boolean(), time: fc.nat(3), v: fc.nat(3) })
const history = fc.tuple(
  fc.array(sent, { minLength: 1, maxLength: 12 }),
  fc.record({ at: fc.integer({ min: 1, max: 12 }), lost: fc.boolean(), batch: fc.integer({ min: 1, max: 20 }) }),
)

it('what was replayed takes nobody’s place, wherever it lies and wherever a worker is killed', async () => {
  await fc.assert(
    fc.asyncProperty(history, ([all, how]) => check(all, how)),
    { numRuns: 60 },
  )
})

it('known-wrong: an owner that stores it as if it were new', async () => {
  const wrong = (ports: Ports): Ports => ({ ...ports, log: replayOverAll(ports.log) })
  const all = [
    { isReplay: false, time: 0, v: 1 },
    { isReplay: true, time: 0, v: 2 },
  ]
  const how = { at: 100, lost: false, batch: 10 }
  await check(all, how)
  await expect(check(all, how, wrong)).rejects.toThrow('to deeply equal')
})

it('counts what it leaves out', async () => {
  const world = new World()
  const all = [
    { isReplay: true, time: 0, v: 1 },
    { isReplay: true, time: 0, v: 2 },
    { isReplay: true, time: 0, v: 1 },
    { isReplay: false, time: 1, v: 1 },
    { isReplay: true, time: 1, v: 3 },
  ]
  await world.log.append('telemetry.raw', all.flatMap(recordsOf))
  const { options } = await world.work()
  await world.settled()
  expect(byTime(world)).toEqual(new Map([[0, 1], [1, 1]])) // prettier-ignore
  expect(await counter(options, 'superseded_points_total')).toBe(2)
})
