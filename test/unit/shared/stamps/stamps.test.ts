import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { NEW_SLOT } from '../../../../shared/stamps/slot.ts'
import type { StampsOptions } from '../../../../shared/stamps/stamps.ts'
import { HOUR, Machine, overlaps, StampedLog } from './stamping.ts'

const YEARS = 10 * 365 * 24 * HOUR

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval'] }))
afterEach(() => void vi.useRealTimers())

describe('a clock that steps', () => {
  it.each([
    [
      'ten years ahead for a moment',
      async (it: Machine) => {
        it.wall += YEARS
        await it.readings(1)
        it.wall -= YEARS
      },
    ],
    [
      'ten years ahead for an hour',
      async (it: Machine) => {
        it.wall += YEARS
        await it.readings(1)
        it.pass(HOUR)
        await it.readings(1)
        it.wall -= YEARS
      },
    ],
    ['two hours back', async (it: Machine) => void (it.wall -= 2 * HOUR)],
  ])(
    '%s: readings a second apart are stored a second apart at the right time, also after restarts',
    async (_, step) => {
      const machine = new Machine()
      await machine.start()
      await machine.readings(3)
      await step(machine)
      expect(await machine.readings(3)).toEqual([0, 0, 0])
      await machine.process.stamps.close()
      await machine.start()
      expect(await machine.readings(3)).toEqual([0, 0, 0])
      // kill -9: what is on the disk is from the clean stop before.
      await machine.start()
      expect(await machine.readings(3)).toEqual([0, 0, 0])
      expect(overlaps(machine.log.records)).toBe(0)
      expect(machine.warnings).toMatchObject([{ stage: 'clock', code: 'clock_stepped' }])
      expect(await machine.process.stamps.check.check()).toMatchObject({ ok: true })
    },
  )

  it('back, while nothing runs: a start finds it in the log, with and without a clean stop before', async () => {
    for (const isClean of [true, false]) {
      const machine = new Machine()
      await machine.start()
      await machine.readings(3)
      if (isClean) await machine.process.stamps.close()
      machine.wall -= 2 * HOUR
      await machine.start()
      expect(await machine.readings(3)).toEqual([0, 0, 0])
      expect(machine.kept.era).toBe(1)
      expect(machine.warnings[0]?.detail).toContain('set back by 7200 s')
      expect(machine.warnings[0]?.detail).toContain('2026-01-01T10:00:03Z to 2026-01-01T12:00:03Z')
      expect(await machine.process.stamps.check.check()).toEqual({ ok: true, detail: machine.warnings[0]?.detail })
    }
  })

  it('names the span of the future that a step forward touched, once that is undone', async () => {
    const machine = new Machine()
    await machine.start()
    await machine.readings(1)
    machine.wall += YEARS
    await machine.readings(3)
    expect(machine.warnings).toEqual([])
    machine.wall -= YEARS
    await machine.readings(1)
    expect(machine.warnings[0]?.detail).toMatch(
      /forward was undone.* lie at 2035-12-30T12:00:02Z to 2035-12-30T12:00:04Z/,
    )
  })

  it('by up to 10 s is waited out, at a start too', async () => {
    const machine = new Machine()
    await machine.start()
    await machine.readings(1)
    machine.wall -= 10_000
    expect(await machine.readings(10)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    machine.wall -= 5_000
    await machine.start()
    expect(await machine.readings(5)).toEqual([4, 3, 2, 1, 0])
    expect([machine.kept.era, machine.warnings, overlaps(machine.log.records)]).toEqual([0, [], 0])
  })

  it('ahead while nothing is received takes no era', async () => {
    const machine = new Machine()
    await machine.start()
    await machine.readings(1)
    machine.wall += YEARS
    await machine.process.stamps.look()
    machine.wall -= YEARS
    expect(await machine.readings(2)).toEqual([0, 0])
    expect(machine.kept.era).toBe(0)
  })

  it('back every minute: four eras, then nothing is stamped, which is told, until the clock is right again', async () => {
    const machine = new Machine()
    await machine.start()
    await machine.readings(1)
    for (let n = 0; n < 3; n++) {
      machine.wall -= HOUR
      expect(await machine.readings(2)).toEqual([0, 0])
    }
    machine.wall -= HOUR
    await expect(machine.readings(1)).rejects.toThrow('not taken')
    await expect(machine.readings(1)).rejects.toThrow('not taken')
    expect(() => machine.process.stamps.clock.stampOf(1)).toThrow(expect.objectContaining({ code: 'clock_unusable' }))
    expect(await machine.process.stamps.check.check()).toEqual({ ok: false, detail: 'clock_unusable' })
    expect(machine.warnings.map((letter) => letter?.code)).toEqual([
      ...['clock_stepped', 'clock_stepped', 'clock_stepped', 'clock_unusable'],
    ])
    // A restart changes nothing.
    await machine.start()
    await expect(machine.readings(1)).rejects.toThrow('not taken')
    machine.wall += HOUR
    expect(await machine.readings(2)).toEqual([0, 0])
    expect(overlaps(machine.log.records)).toBe(0)
  })

  it('back once a day has an era each day', async () => {
    const machine = new Machine()
    await machine.start()
    for (let day = 0; day < 10; day++) {
      await machine.readings(2)
      machine.wall -= HOUR
      expect(await machine.readings(2)).toEqual([0, 0])
      machine.pass(25 * HOUR)
    }
    expect([machine.kept.era, overlaps(machine.log.records)]).toEqual([2, 0])
  })

  it('takes no era that the state of yesterday does not know of', async () => {
    const machine = new Machine()
    await machine.start()
    await machine.readings(1)
    const yesterday = machine.kept
    machine.wall -= HOUR
    // So many that those of the first era are not looked for.
    for (let n = 0; n < 45_000; n++) await machine.process.sendSoon('{"v":1}')
    machine.kept = yesterday
    machine.wall -= 60_000
    await machine.start()
    await machine.readings(1)
    machine.pass(HOUR + 59_000 - 1_000)
    await machine.readings(1)
    expect([machine.kept.era, overlaps(machine.log.records)]).toEqual([2, 0])
  })
})

/** What happens to a machine; times in milliseconds. */
const happening = fc.oneof(
  fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(5_000) }),
  fc.record({ kind: fc.constant('send' as const), elements: fc.constantFrom(1, 1, 10, 10_000) }),
  fc.record({ kind: fc.constant('set' as const), ms: fc.constantFrom(-2 * HOUR, -9_000, -300, 300, 20_000, 3 * HOUR) }),
  fc.record({ kind: fc.constantFrom('stop' as const, 'kill' as const) }),
)

type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never

async function play(machine: Machine, happenings: readonly Happening[], options?: Partial<StampsOptions>) {
  await machine.start(options)
  for (const one of happenings) {
    if (one.kind === 'pass') machine.pass(one.ms)
    else if (one.kind === 'set') machine.wall += one.ms
    else if (one.kind === 'send') {
      const payload = one.elements === 1 ? '{"v":1}' : `[${'{"v":1},'.repeat(one.elements).slice(0, -1)}]`
      const record = await machine.process.sendSoon(payload)
      if (record !== undefined) expect(record.ms - machine.wall).toBeLessThan(10_200)
    } else {
      if (one.kind === 'stop') await machine.process.stamps.close()
      await machine.start(options)
    }
  }
  return overlaps(machine.log.records)
}

describe('no two messages have a time in common', () => {
  it('whatever happens to the clock and the process', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { maxLength: 40 }), async (happenings) => {
        expect(await play(new Machine(), happenings)).toBe(0)
      }),
      { numRuns: 300 },
    )
  })

  it('which is seen to fail when an era is not taken for good', async () => {
    const blind = new StampedLog()
    const forgetful = new (class extends Machine {
      override async start(): Promise<void> {
        this.kept = NEW_SLOT
        await super.start({ log: blind })
      }
    })()
    const [send, back, stop, ahead] = [
      { kind: 'send', elements: 1 } as const,
      { kind: 'set', ms: -2 * HOUR } as const,
      { kind: 'kill' } as const,
      { kind: 'pass', ms: 2 * HOUR } as const,
    ]
    expect(await play(forgetful, [send, back, send, stop, ahead, send])).toBe(1)
    expect(await play(new Machine(), [send, back, send, stop, ahead, send])).toBe(0)
  })
})
