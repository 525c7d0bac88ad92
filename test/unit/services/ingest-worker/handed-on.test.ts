import { describe, expect, it } from 'vitest'
import { RecordsTooLarge } from '../../../../shared/log/port.ts'
import { keyOfLogin } from '../../../../shared/record.ts'
import { SAME_NAMES } from '../../../../shared/registry/names-port.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { withMethods } from '../../../../load-tests/reference/overriding.ts'
import { withoutFrom } from '../../../variants/without-from.ts'
import { counter, World } from './harness.ts'
import { mortal, type Ports } from './mortal.ts'

const T = 1_769_860_800_000
const MESSAGES = 30
/** Of different lengths: each in a partition of its own, the last in that of the gateway. */
const DEVICES = ['a', 'bb', 'ccc']
const SMALL = {
  INGEST_BATCH_RECORDS: '5',
  INGEST_WRITE_POINTS: '20',
  INGEST_CHECKPOINT_RECORDS: '10',
  INGEST_CLOSE_MS: '1',
}

/** A message of a gateway, received at `ms`. */
function ofGateway(payload: unknown, ms: number): LogRecord {
  const value = Buffer.from(JSON.stringify(payload))
  const headers = { topic: 't/demo/telemetry', login: 'gw', unknown: 'kept' }
  return { key: keyOfLogin('demo', 'gw'), value, ms, ns: 0, scheme: 1, headers }
}

/** Each device has one value of each time. */
const messages = Array.from({ length: MESSAGES }, (_, n) =>
  ofGateway(Object.fromEntries(DEVICES.map((device) => [device, { ts: T + n, v: n }])), T + n),
)

type Stored = Record<string, number>

function stored(world: World): Stored {
  return Object.fromEntries([...world.points.visible].map(([id, value]) => [id, Number(value)]))
}

function latest(world: World): Stored {
  return Object.fromEntries(
    [...world.registry.states.values()].map(({ device, fields }) => [device, Number(fields['v']?.value)]),
  )
}

/** By the logs as they stand: of each device its records in order, of what was handed on the first copy. */
function asTheLogSays(world: World): { stored: Stored; latest: Stored } {
  const points: Stored = {}
  for (const records of world.log.records['telemetry.raw']) {
    const seen = new Set<string>()
    for (const { key, value, headers } of records) {
      const from = headers?.['from']
      if (key.includes('\u001e') || (from !== undefined && seen.has(from))) continue
      if (from !== undefined) seen.add(from)
      const payload = JSON.parse(Buffer.from(value).toString()) as { ts: number; v: number } & {
        readings: [[number, number, [string, string, number]]]
      }
      const [ms, v] = from === undefined ? [payload.ts, payload.v] : [payload.readings[0][0], payload.readings[0][2][2]]
      points[`${key}/telemetry/v/float@${ms}.0`] = v
    }
  }
  const newest = DEVICES.map((device): [string, number] => [
    device,
    points[`demo/${device}/telemetry/v/float@${T + MESSAGES - 1}.0`] ?? NaN,
  ])
  return { stored: points, latest: Object.fromEntries(newest) }
}

/** One worker until its death; then the devices correct what there is; then another worker, which is to store all. */
async function killAndCorrect(at: number, lost: boolean, broken: (ports: Ports) => Ports): Promise<World> {
  const world = new World(3)
  await world.log.append('telemetry.raw', messages)
  const { ports, killed } = mortal(world, at, lost)
  const first = await world.work(broken(ports), SMALL)
  await Promise.race([killed, world.settled()])
  await first.close()
  world.points.crash()
  for (const device of DEVICES) {
    const corrections = Array.from({ length: MESSAGES }, (_, n) => ({ ts: T + n, v: -1 - n }))
    await world.publish(corrections, `demo/${device}`)
  }
  await world.work(broken(world), SMALL)
  await world.settled()
  return world
}

const MOMENTS = Array.from({ length: 40 }, (_, i) => ({ at: 1 + (i >> 1), lost: i % 2 === 0 }))

describe('readings of other devices, when the worker that hands them on is killed and the devices correct them', () => {
  it.each(MOMENTS)('are stored once, in order: call $at, effect lost: $lost', async ({ at, lost }) => {
    const world = await killAndCorrect(at, lost, (ports) => ports)
    const expected = asTheLogSays(world)
    expect(Object.keys(expected.stored)).toHaveLength(MESSAGES * DEVICES.length)
    expect(stored(world)).toEqual(expected.stored)
    expect(latest(world)).toEqual(expected.latest)
  })

  it('known-wrong: an owner that does not know copies puts back what was corrected', async () => {
    const wrong = new Set<string>()
    for (const { at, lost } of MOMENTS) {
      const world = await killAndCorrect(at, lost, (ports) => ({ ...ports, log: withoutFrom(ports.log) }))
      const right = asTheLogSays(world)
      if (JSON.stringify(stored(world)) !== JSON.stringify(right.stored)) wrong.add('stored')
      if (JSON.stringify(latest(world)) !== JSON.stringify(right.latest)) wrong.add('latest')
      if (wrong.size === 2) return
    }
    expect([...wrong]).toEqual(['stored', 'latest'])
  })
})

describe('what is handed on', () => {
  it('keeps stamp, login and unknown headers, goes by uid, and is counted by its owner alone', async () => {
    const world = new World(3)
    world.registry.names = {
      ...SAME_NAMES,
      uidOf: (_tenant, device) => (device === 'renamed' ? 'bb' : device),
      nameOf: (_tenant, uid) => (uid === 'bb' ? 'renamed' : uid),
    }
    const { options } = await world.work()
    await world.log.append('telemetry.raw', [ofGateway({ a: [{ v: 1 }, { v: 2 }], renamed: { v: 3, w: null } }, T)])
    await world.settled()
    const [[ofA] = [], [ofB] = [], [source] = []] = world.log.records['telemetry.raw']
    expect(source?.key).toBe('demo/\u001egw')
    const headers = { login: 'gw', unknown: 'kept', form: '1' }
    expect(ofA).toMatchObject({ key: 'demo/a', ms: T, ns: 0, scheme: 1 })
    expect(ofA?.headers).toEqual({ ...headers, from: 'memory/2/0/0' })
    expect(ofB?.headers).toEqual({ ...headers, topic: 't/demo/renamed/telemetry', from: 'memory/2/0/1' })
    expect(stored(world)).toEqual({
      [`demo/a/telemetry/v/float@${T}.0`]: 1,
      [`demo/a/telemetry/v/float@${T}.256`]: 2,
      [`demo/bb/telemetry/v/float@${T}.512`]: 3,
    })
    expect(await counter(options, 'readings_total')).toBe(3)
    expect(await counter(options, 'nulls_total')).toBe(1)
    expect(await counter(options, 'handed_on_total')).toBe(2)
    expect(world.deadLetters()).toEqual([])
  })

  it('leaves a letter of the source for what is refused, and stores the rest', async () => {
    const world = new World(3)
    await world.work()
    await world.log.append('telemetry.raw', [
      ofGateway({ a: { v: 1, w: '\ud800' }, '': { v: 1 } }, T),
      ofGateway([1], T),
    ])
    await world.settled()
    expect(stored(world)).toEqual({ [`demo/a/telemetry/v/float@${T}.0`]: 1 })
    const [first, second] = world.deadLetters()
    expect(first?.faults?.first).toMatchObject([
      { element: 0, path: 'w', code: 'value_unsupported' },
      { element: 1, path: null, code: 'name_invalid' },
    ])
    expect(second).toMatchObject({ code: 'payload_not_by_device', source: { partition: 2, offset: 1 } })
  })

  it('is refused for a device that nobody made, and the rest is stored', async () => {
    const world = new World(3)
    world.registry.names = { ...SAME_NAMES, isKnown: (_tenant, device) => device !== 'bb' }
    await world.work()
    await world.log.append('telemetry.raw', [ofGateway({ bb: { v: 1 }, a: { v: 2 } }, T)])
    await world.settled()
    expect(Object.values(stored(world))).toEqual([2])
    expect(world.deadLetters()).toMatchObject([{ code: 'device_unknown', source: { partition: 2, offset: 0 } }])
    // Numbers are those of the payload, whoever is known.
    expect(world.log.records['telemetry.raw'][0]?.[0]?.headers?.['from']).toBe('memory/2/0/1')
  })

  it('makes the device where its login may, and asks once for all records of a slice', async () => {
    const world = new World(3)
    const made = new Set<string>()
    const asked: string[] = []
    world.registry.names = { ...SAME_NAMES, isKnown: (_tenant, device) => device !== 'bb' || made.has(device) }
    world.registry.admitDevice = async (login, { device }) => {
      asked.push(`${login} ${device}`)
      made.add(device)
      return 'made'
    }
    await world.log.append('telemetry.raw', [
      ofGateway({ bb: { v: 1 }, a: { v: 2 } }, T),
      ofGateway({ bb: { v: 3 } }, T + 1),
    ])
    await world.work()
    await world.settled()
    expect(Object.values(stored(world)).sort()).toEqual([1, 2, 3])
    expect(asked).toEqual(['gw bb'])
    expect(world.deadLetters()).toEqual([])
  })

  it('and is too large for a record of its own is a fault of the source', async () => {
    const world = new World(3)
    const log = withMethods(world.log, {
      append: async (...[topic, records]: Parameters<typeof world.log.append>) => {
        const tooLarge = new Set(records.filter(({ key }) => topic === 'telemetry.raw' && key === 'demo/bb'))
        await world.log.append(
          topic,
          records.filter((one) => !tooLarge.has(one)),
        )
        if (tooLarge.size > 0) throw new RecordsTooLarge(tooLarge, 'too large')
        return new Map()
      },
    })
    await world.work({ log })
    await world.log.append('telemetry.raw', [ofGateway({ a: { v: 1 }, bb: { v: 2 }, ccc: { v: 3 } }, T)])
    await world.settled()
    expect(Object.values(stored(world)).sort()).toEqual([1, 3])
    expect(world.deadLetters()).toMatchObject([{ code: 'payload_too_large', source: { partition: 2, offset: 0 } }])
  })
})
