import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { keptInMemoryOnly, keptWithoutPositions, stateBehindCommit } from '../../../variants/forgetful-kept-values.ts'
import { counter, World } from './harness.ts'
import { storeThroughKills, type Kill, type Ports } from './mortal.ts'

const T = 1_769_860_800_000
const SMALL = {
  INGEST_BATCH_RECORDS: '3',
  INGEST_WRITE_POINTS: '4',
  INGEST_CHECKPOINT_RECORDS: '4',
  INGEST_LINGER_MS: '0',
  INGEST_CLOSE_MS: '1',
}

type Value = string | boolean | number

interface Message {
  readonly device: string
  readonly second: number
  /** Several are an array of readings. */
  readonly values: readonly Value[]
  readonly isDup?: boolean
}

function recordOf({ device, second, values, isDup }: Message, n: number): LogRecord {
  const readings = values.map((s) => ({ ts: T + second * 1000, s }))
  const headers = isDup === true ? { dup: '1' } : undefined
  // Received after all of their times.
  const ms = T + 3_600_000 + n
  return { key: `demo/${device}`, value: Buffer.from(JSON.stringify(readings)), ms, ns: 0, headers }
}

/** The points in the end. */
async function stored(
  messages: readonly Message[],
  kills: readonly Kill[] = [],
  broken: (ports: Ports) => Ports = (ports) => ports,
): Promise<Record<string, unknown>> {
  const world = new World()
  await world.log.append('telemetry.raw', messages.map(recordOf))
  await storeThroughKills(world, kills, SMALL, broken)
  return Object.fromEntries([...world.points.visible].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** By the contract, of messages that come in the order of their times. */
function expected(messages: readonly Message[]): Record<string, unknown> {
  const points: Record<string, unknown> = {}
  const last = new Map<string, { second: number; value: Value; at: number }>()
  for (const { device, second, values } of messages) {
    for (const value of values) {
      const type = typeof value === 'string' ? 'string' : typeof value === 'boolean' ? 'boolean' : 'float'
      const series = `demo/${device}/telemetry/s/${type}`
      const before = last.get(series)
      const isNew = before?.second !== second
      const at = type === 'float' || isNew ? 0 : before.value === value ? before.at : before.at + 1
      last.set(series, { second, value, at })
      points[`${series}@${T + second * 1000}.${at}`] = value
    }
  }
  return Object.fromEntries(Object.entries(points).sort(([a], [b]) => (a < b ? -1 : 1)))
}

const value = fc.constantFrom<Value[]>('a', 'b', 'c', true, false, 1, 2)
const parts = {
  device: fc.constantFrom('first', 'other'),
  second: fc.integer({ min: 0, max: 3 }),
  values: fc.array(value, { minLength: 1, maxLength: 3 }),
}
const kill = fc.record({ at: fc.integer({ min: 1, max: 14 }), lost: fc.boolean(), powerCut: fc.boolean() })
const kills = fc.array(kill, { maxLength: 4 })

const bySecond = (messages: readonly Message[]): Message[] => messages.toSorted((a, b) => a.second - b.second)

describe('values of one second, whoever is killed at whatever call', () => {
  it('are stored once each, in their order, one nanosecond after the other', async () => {
    const inOrder = fc.array(fc.record(parts), { minLength: 1, maxLength: 25 }).map(bySecond)
    await fc.assert(
      fc.asyncProperty(inOrder, kills, async (messages, all) => {
        expect(await stored(messages, all)).toEqual(expected(messages))
      }),
      { numRuns: 40 },
    )
  })

  it('stand where they stand without a kill, in whatever order they come, and how often', async () => {
    const any = fc.array(fc.record({ ...parts, isDup: fc.boolean() }), { minLength: 1, maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(any, kills, async (messages, all) => {
        expect(await stored(messages, all)).toEqual(await stored(messages))
      }),
      { numRuns: 40 },
    )
  })
})

/** Seconds of two and of three texts, over several checkpoints, and texts of a second that is not the newest any more. */
const FIXED: readonly Message[] = Array.from({ length: 40 }, (_, n) => {
  const second = n % 10 === 9 ? Math.floor(n / 5) - 1 : Math.floor(n / 5)
  return { device: 'first', second, values: [`text ${n}`] }
})
const MOMENTS = Array.from({ length: 40 }, (_, i) => ({ at: 1 + (i >> 1), lost: i % 2 === 0, powerCut: i % 4 > 1 }))

describe('the same kills find what known-wrong variants store twice, or over another value', () => {
  const withRegistry = (change: (registry: Ports['registry']) => Ports['registry']) => (ports: Ports) => {
    return { ...ports, registry: change(ports.registry) }
  }

  it.each([
    { name: 'decided from memory only', broken: withRegistry(keptInMemoryOnly) },
    { name: 'without what stands above the committed position', broken: withRegistry(keptWithoutPositions) },
    { name: 'the state is durable behind the commit', broken: (ports: Ports): Ports => stateBehindCommit(ports) },
  ])('$name', async ({ broken }) => {
    const right = await stored(FIXED)
    expect(Object.keys(right)).toHaveLength(40)
    const wrong: unknown[] = []
    for (const moment of MOMENTS) {
      const points = await stored(FIXED, [moment], broken)
      if (JSON.stringify(points) !== JSON.stringify(right)) wrong.push(moment)
    }
    expect(wrong).not.toEqual([])
  })

  it('and not of the worker as it is', async () => {
    const right = await stored(FIXED)
    for (const moment of MOMENTS) expect(await stored(FIXED, [moment])).toEqual(right)
  })
})

/** The texts, numbers or booleans of the field `s`, by nanoseconds behind `T`. */
function values(world: World): unknown[] {
  return Array.from(world.points.visible, ([id, one]) => {
    const [, ms, ns] = /@(\d+)\.(\d+)$/.exec(id) ?? []
    return { behind: (Number(ms) - T) * 1_000_000 + Number(ns), one }
  })
    .sort((a, b) => a.behind - b.behind)
    .map(({ behind, one }) => `${behind}: ${String(one)}`)
}

describe('two values of one time', () => {
  it('are both there when they are texts or booleans of a whole second, and nothing is told of them', async () => {
    const world = new World()
    await world.publish([
      { ts: T, s: 'open' },
      { ts: T, s: 'shut' },
      { ts: T, s: 'shut' },
      { ts: T, s: 'open' },
    ])
    const { options } = await world.work()
    await world.settled()
    expect(values(world)).toEqual(['0: open', '1: shut', '2: open'])
    expect(world.deadLetters()).toEqual([])
    expect([await counter(options, 'overwritten_total'), await counter(options, 'kept_values_total')]).toEqual([0, 3])
    expect(world.registry.states.get('demo/first/telemetry')?.fields['s']).toMatchObject({
      time: { ms: T, ns: 2 },
      value: 'open',
    })
  })

  it('are one when they are numbers, or have a fraction of a second', async () => {
    const world = new World()
    await world.publish([
      { ts: T, n: 1 },
      { ts: T, n: 2 },
      { ts: T + 1, s: 'open' },
      { ts: T + 1, s: 'shut' },
    ])
    const { options } = await world.work()
    await world.settled()
    expect(values(world)).toEqual(['0: 2', '1000000: shut'])
    expect(await counter(options, 'overwritten_total')).toBe(2)
  })

  it('take the place of the last one when there are 256, which is counted, also when they are read again', async () => {
    const world = new World()
    const send = (from: number, to: number) =>
      world.publish(Array.from({ length: to - from }, (_, i) => ({ ts: T, s: `text ${from + i}` })))
    await send(0, 250)
    const first = await world.work()
    await world.settled()
    await first.close()
    await send(250, 260)
    const { options } = await world.work()
    await world.settled()
    expect(values(world)).toHaveLength(256)
    expect(values(world)[255]).toBe('255: text 259')
    expect(values(world)[254]).toBe('254: text 254')
    expect(await counter(options, 'overwritten_total')).toBe(4)
  })

  it('are what they were when a client sends the messages again', async () => {
    const world = new World()
    const all = ['a', 'b'].map((s) => ({ ts: T, s }))
    await world.publish(all)
    const again = all.map((one) => recordOf({ device: 'first', second: 0, values: [one.s], isDup: true }, 0))
    await world.log.append('telemetry.raw', again)
    await world.publish([{ ts: T + 1000, s: 'c' }])
    // Also when nobody says that they are sent again, and a later time has come meanwhile.
    await world.publish(all)
    await world.work()
    await world.settled()
    expect(values(world)).toEqual(['0: a', '1: b', '1000000000: c'])
  })

  it('are left as they are by what is replayed', async () => {
    const world = new World()
    await world.publish(['a', 'b'].map((s) => ({ ts: T, s })))
    const sent = recordOf({ device: 'first', second: 0, values: ['c'] }, 0)
    await world.log.append('telemetry.raw', [{ ...sent, headers: { replay: '1' } }])
    await world.publish([{ ts: T, s: 'd' }])
    await world.work()
    await world.settled()
    expect(values(world)).toEqual(['0: a', '1: b', '2: d'])
  })

  it('have no newest time that is far ahead', async () => {
    const world = new World()
    await world.publish([
      { ts: T + 7_200_000, s: 'ahead' },
      { ts: T, s: 'a' },
      { ts: T, s: 'b' },
    ])
    await world.work()
    await world.settled()
    expect(values(world)).toEqual(['0: a', '1: b', `${7_200_000 * 1_000_000}: ahead`])
  })
})
