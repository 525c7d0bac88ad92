import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { recordToDeadLetter } from '../../../../shared/dead-letter.ts'
import { idOfStamp } from '../../../../shared/stamps/scheme.ts'
import { HOUR, overlaps } from './stamping.ts'
import { World, type ModelProcess } from './slot-world.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval'] }))
afterEach(() => void vi.useRealTimers())

const code = (value: string) => expect.objectContaining({ code: value }) as Error
const stopped = (process: ModelProcess) => process.stamps?.check.check()

async function gauge(process: ModelProcess, name: string): Promise<number | undefined> {
  const metric = await process.metrics.getSingleMetric(name)?.get()
  return metric?.values[0]?.value
}

/** Starts what is killed and stopped in turn, so often, under a name that is the same or another one each time. */
async function restarts(world: World, times: number, nameOf: (n: number) => string, isKilled: (n: number) => boolean) {
  const everyMs = (24 * HOUR) / times
  for (let n = 0; n < times; n++) {
    const process = await world.start(nameOf(n))
    if ((await process.send()) === undefined) throw new Error(`nothing was stamped after start ${n}`)
    await world.pass(everyMs - 10_000, everyMs / 4)
    await process.send()
    if (isKilled(n)) world.kill(process)
    else await world.stop(process)
  }
}

describe('a slot in the registry', () => {
  it('is another one for each process, and the same one for a name', async () => {
    const world = new World()
    const processes = []
    for (const name of ['a', 'b', 'c', 'd']) processes.push(await world.start(name))
    expect(processes.map(({ slot }) => slot)).toEqual([63, 62, 61, 60])
    const [a, b] = processes
    if (a === undefined || b === undefined) throw new Error('four were started')
    await world.stop(a)
    world.kill(b)
    expect((await world.start('b')).slot).toBe(62)
    expect((await world.start('e')).slot).toBe(59)
    expect((await world.start('a')).slot).toBe(63)
  })

  it('that was given back is used after its last stamp, by whatever process', async () => {
    const world = new World()
    const first = await world.start('a')
    const last = await first.send(10_000)
    await world.stop(first)
    for (let n = 0; n < 63; n++) await world.start(`other-${n}`)
    const heir = await world.start('heir', { ahead: -9_000 })
    const next = await heir.send()
    if (last === undefined || next === undefined) throw new Error('both are stamped')
    expect([heir.slot, idOfStamp(next)]).toEqual([63, idOfStamp(last)])
    expect(overlaps(world.log.records)).toBe(0)
  })

  it('is had at once after a clean stop, and after a kill as soon as nobody objects', async () => {
    const world = new World()
    await world.stop(await world.start('a'))
    const { time } = world
    const again = await world.start('a')
    expect(world.time - time).toBe(0)
    world.kill(again)
    await world.start('a')
    expect(world.time - time).toBe(4_000)
  })

  it('of a live process is not had by another one with its name, which says so', async () => {
    const world = new World()
    const first = await world.start('a')
    for (let n = 0; n < 3; n++) await expect(world.start('a')).rejects.toThrow(code('node_name_taken'))
    expect(await first.send()).toBeDefined()
    expect(await stopped(first)).toEqual({ ok: true })
    await world.stop(first)
    expect((await world.start('a')).slot).toBe(63)
  })

  it('of a process without the registry goes to one with its name, under another id', async () => {
    const world = new World()
    const first = await world.start('a')
    first.isCut = true
    const second = await world.start('a')
    for (let n = 0; n < 20; n++) {
      await Promise.all([first.send(), second.send(), first.send(100), second.send(100)])
      await world.pass(50, 50)
    }
    expect(overlaps(world.log.records)).toBe(0)
    // It hears of it as soon as it can, and does not take it back.
    first.isCut = false
    await world.pass(10_000)
    expect(await first.send()).toBeUndefined()
    expect(await stopped(first)).toMatchObject({ ok: false })
    expect(await gauge(first, 'sluice_stamps_slots_lost_total')).toBeGreaterThan(0)
    expect(await second.send()).toBeDefined()
  })

  it('is not stamped in 12 h after the last renewal, and is again when the registry is back', async () => {
    const world = new World()
    const process = await world.start('a')
    world.isAway = true
    await world.pass(12 * HOUR - 60_000, 60_000)
    expect(await process.send()).toBeDefined()
    expect(await gauge(process, 'sluice_stamps_lease_seconds')).toBeLessThanOrEqual(60)
    await world.pass(60_000)
    expect(await process.send()).toBeUndefined()
    expect(await stopped(process)).toEqual({ ok: false, detail: 'stamp_slot_missing' })
    expect(await gauge(process, 'sluice_stamps_stopped')).toBe(1)
    expect(() => process.stamps?.clock.stampOf(1)).toThrow(code('stamp_slot_missing'))
    await world.pass(HOUR, 60_000)
    world.isAway = false
    await world.pass(1_000)
    expect(await process.send()).toBeDefined()
    expect(await stopped(process)).toEqual({ ok: true })
    expect(overlaps(world.log.records)).toBe(0)
  })

  it('is not stamped in by a machine that slept, however its clocks stood', async () => {
    const world = new World()
    const process = await world.start('a')
    await process.send()
    process.isCut = true
    // The wall clock goes on, the steady one does not; no timer has run yet.
    process.ahead += 13 * HOUR
    expect(await process.send()).toBeUndefined()
  })

  it('of a process that was killed goes to another name after 24 h, and not before', async () => {
    const world = new World()
    for (let n = 0; n < 64; n++) world.kill(await world.start(`killed-${n}`))
    await expect(world.start('new')).rejects.toThrow(code('stamp_slot_missing'))
    await world.pass(23 * HOUR, HOUR)
    await expect(world.start('new')).rejects.toThrow(code('stamp_slot_missing'))
    await world.pass(2 * HOUR, HOUR)
    expect((await world.start('new')).slot).toBe(63)
    const metrics = await world.start('newer')
    expect(await gauge(metrics, 'sluice_stamps_slots_free')).toBe(62)
  })

  it('is kept by a live process although the clock of the database says that a day has passed', async () => {
    const world = new World()
    const holders = []
    for (let n = 0; n < 64; n++) holders.push(await world.start(`live-${n}`))
    for (const hours of [30, -30, 24 * 365]) {
      world.databaseAhead += hours * HOUR
      await expect(world.start('new')).rejects.toThrow(code('stamp_slot_missing'))
      await world.pass(2_000)
      for (const holder of holders) expect(await holder.send()).toBeDefined()
    }
  })

  it('is kept by a live process although the registry was restored from before it was taken', async () => {
    const world = new World()
    await world.stop(await world.start('old'))
    await world.pass(24 * HOUR, HOUR)
    const yesterday = world.slots.rows
    const [a, b] = [await world.start('a'), await world.start('b')]
    await Promise.all([a.send(), b.send()])
    world.slots.rows = yesterday
    const fresh = await world.start('c')
    for (let n = 0; n < 20; n++) {
      for (const one of [a, b, fresh]) await one.send(50)
      await world.pass(500, 500)
    }
    expect(new Set([a.slot, b.slot, fresh.slot]).size).toBe(3)
    for (const one of [a, b, fresh]) expect(await one.send()).toBeDefined()
    expect(overlaps(world.log.records)).toBe(0)
  })

  it('does not lose an era to a registry restored from before the clock was set back', async () => {
    const world = new World()
    const process = await world.start('a')
    await process.send()
    const before = world.slots.rows
    process.ahead -= 2 * HOUR
    await world.pass(2_000)
    await process.send()
    world.kill(process)
    world.slots.rows = before
    const again = await world.start('a', { ahead: -2 * HOUR })
    await again.send()
    await world.pass(2 * HOUR, 60_000)
    await again.send()
    expect(overlaps(world.log.records)).toBe(0)
  })

  it('is touched by the clock of one process only, and others take none of its eras', async () => {
    const world = new World()
    const wrong = await world.start('wrong', { ahead: 10 * 365 * 24 * HOUR })
    await wrong.send()
    await world.stop(wrong)
    for (let n = 0; n < 63; n++) await world.start(`right-${n}`)
    // The last slot is that of the wrong clock.
    const heir = await world.start('heir')
    const record = await heir.send()
    expect([heir.slot, record && record.ms - heir.wall]).toEqual([63, 0])
    expect(world.log.letters).toEqual([])
  })

  it('changes its era in the registry when the clock is set back, also while it is away', async () => {
    const world = new World()
    const process = await world.start('a')
    await process.send()
    world.isAway = true
    process.ahead -= 2 * HOUR
    await world.pass(3_000)
    expect(await process.send()).toBeUndefined()
    world.isAway = false
    await world.pass(2_000)
    expect(await process.send()).toBeDefined()
    world.kill(process)
    // A start finds it in the log as well, and tells it; not twice.
    const again = await world.start('a', { ahead: -5 * HOUR })
    expect(await again.send()).toBeDefined()
    const letters = world.log.letters.map((letter) => recordToDeadLetter(letter))
    expect(letters).toMatchObject([
      { stage: 'clock', code: 'clock_stepped', who: 'a' },
      { stage: 'clock', code: 'clock_stepped', who: 'a' },
    ])
    expect(overlaps(world.log.records)).toBe(0)
  })

  it('is enough for 200 restarts a day, half of them kills', async () => {
    const world = new World()
    const others = await Promise.all(['x', 'y'].map((name) => world.start(name)))
    await restarts(
      world,
      200,
      () => 'a',
      (n) => n % 2 === 0,
    )
    for (const other of others) expect(await other.send()).toBeDefined()
    expect(world.log.letters).toEqual([])
    expect(overlaps(world.log.records)).toBe(0)
  })

  it('is enough for 200 rollouts a day under new names', async () => {
    const world = new World()
    await restarts(
      world,
      200,
      (n) => `pod-${n}`,
      () => false,
    )
    expect(world.log.letters).toEqual([])
    expect(overlaps(world.log.records)).toBe(0)
  })
})
