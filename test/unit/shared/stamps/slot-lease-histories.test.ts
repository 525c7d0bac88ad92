import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { NEW_SLOT, type HeldSlot } from '../../../../shared/stamps/slot.ts'
import { HOUR, overlaps } from './stamping.ts'
import { World, type Hold, type ModelProcess } from './slot-world.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval'] }))
afterEach(() => void vi.useRealTimers())

const who = fc.constantFrom('a', 'b', 'c')

/** What happens to the processes of a cluster; times in milliseconds. */
const happening = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('send' as const), who, elements: fc.constantFrom(1, 10, 10_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(3, 300, 1_000, 7_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('long' as const), ms: fc.constantFrom(HOUR, 13 * HOUR, 25 * HOUR) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      who,
      ms: fc.constantFrom(-2 * HOUR, -9_000, 20_000, 3 * HOUR),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('start' as const, 'stop' as const, 'kill' as const), who }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('new' as const), who: fc.constantFrom('d', 'e', 'f') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'join' as const, 'twin' as const), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('keep' as const, 'restore' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('database' as const), ms: fc.constantFrom(-30 * HOUR, 30 * HOUR) }),
  },
)

type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never

/** Plays what happens; the messages that have a time in common with another one. */
async function play(happenings: readonly Happening[], hold?: () => Promise<HeldSlot>): Promise<number> {
  const world = new World()
  const processes = new Map<string, ModelProcess>()
  const twins: ModelProcess[] = []
  const start = async (name: string) => {
    // Who gets no slot ends, here.
    const [started] = await Promise.allSettled([world.start(name, hold === undefined ? {} : { hold })])
    if (started.status === 'fulfilled') processes.set(name, started.value)
  }
  const sendAll = async (elements: number) => {
    for (const process of world.live) {
      const record = await process.send(elements)
      if (record !== undefined) expect(record.ms - process.wall).toBeLessThan(10_200)
    }
  }
  for (const name of ['a', 'b', 'c']) await start(name)
  let copy = world.slots.rows
  for (const one of happenings) {
    const process = 'who' in one ? processes.get(one.who) : undefined
    // Two faults at a time are promised nothing: who cannot hear, or has a twin, while the registry is wrong.
    const isAnyCut = twins.length > 0 || [...world.live].some(({ isCut }) => isCut)
    if (one.kind === 'send') await sendAll(one.elements)
    else if (one.kind === 'pass') await world.pass(one.ms)
    else if (one.kind === 'long') await world.pass(one.ms, one.ms / 30)
    else if (one.kind === 'database') world.databaseAhead += isAnyCut ? 0 : one.ms
    else if (one.kind === 'keep') copy = world.slots.rows
    else if (one.kind === 'restore') world.slots.rows = isAnyCut ? world.slots.rows : copy
    else if (one.kind === 'set' && process !== undefined) process.ahead += one.ms
    else if (one.kind === 'cut' && process !== undefined) process.isCut = true
    else if (one.kind === 'join' && process !== undefined) process.isCut = false
    else if (one.kind === 'twin' && twins.length === 0) {
      const [twin] = await Promise.allSettled([world.start(one.who)])
      if (twin.status === 'fulfilled') twins.push(twin.value)
    } else if ((one.kind === 'start' || one.kind === 'new') && (process === undefined || !world.live.has(process))) {
      await start(one.who)
    } else if (one.kind === 'stop' && process !== undefined && world.live.has(process)) await world.stop(process)
    else if (one.kind === 'kill' && process !== undefined) world.kill(process)
    await sendAll(1)
  }
  await sendAll(10)
  return overlaps(world.log.records)
}

describe('no two messages of a cluster have a time in common', () => {
  it('whatever happens to its processes, their clocks and the registry', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { minLength: 10, maxLength: 60, size: 'max' }), async (happenings) => {
        expect(await play(happenings)).toBe(0)
      }),
      { numRuns: 100 },
    )
  })

  it('which is seen to fail when two processes have one slot', async () => {
    const hold = async (): Promise<HeldSlot> => {
      const save = async () => undefined
      const held = { isAbandoned: false, mayStamp: () => true, keep: save, save, giveBack: save }
      return { slot: 1, state: NEW_SLOT, ...held }
    }
    expect(await play([{ kind: 'send', who: 'a', elements: 1 }], hold)).toBeGreaterThan(0)
  })

  it('which is seen to fail when an era is not kept', async () => {
    const forgetful: Hold = async (leases) => {
      const held = await leases.take('lease')
      const giveBack = () => held.giveBack(NEW_SLOT)
      const mayStamp = () => held.mayStamp()
      return {
        slot: held.slot,
        state: NEW_SLOT,
        isAbandoned: false,
        mayStamp,
        keep: giveBack,
        save: giveBack,
        giveBack,
      }
    }
    const overlapsWith = async (hold?: Hold) => {
      const world = new World()
      world.isBlind = true
      const first = await world.start('a', hold && { hold })
      await first.send(10_000)
      first.ahead -= 2 * HOUR
      await world.pass(1_000)
      expect(await first.send()).toBeDefined()
      await world.stop(first)
      const second = await world.start('a', { ahead: -2 * HOUR, ...(hold && { hold }) })
      await world.pass(2 * HOUR - 1_000, 60_000)
      await second.send(10_000)
      return overlaps(world.log.records)
    }
    expect(await overlapsWith(forgetful)).toBe(1)
    expect(await overlapsWith()).toBe(0)
  })
})
