import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { firstNs, STAMP_SCHEME, UNSYNCHRONISED } from '../../../../shared/stamps/scheme.ts'
import { SystemClock } from '../../../../shared/stamps/system-clock.ts'
import { HOUR, Machine, NOON, overlaps } from './stamping.ts'
import { PATIENCE } from '../../../patience.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval'] }))
afterEach(() => void vi.useRealTimers())

describe('a system clock', () => {
  const clockOf = (told: boolean | undefined, up: number, waitMs = 0) => {
    const at = { ms: 5_000, told, up }
    const clock = new SystemClock({ steady: () => at.ms, told: () => at.told, uptime: () => at.up, waitMs })
    return { at, clock }
  }

  it('is known when the system says so, and stays known', () => {
    const { at, clock } = clockOf(false, 30)
    expect(clock.isKnown).toBe(false)
    at.told = true
    expect(clock.isKnown).toBe(true)
    at.told = false
    expect(clock.isKnown).toBe(true)
  })

  it.each([
    [0, 60_000],
    [300_000, 300_000],
    [1_000, 60_000],
  ])('counts as known, with a wait of %i ms, after %i ms, whatever the system says', (waitMs, after) => {
    for (const told of [false, undefined]) {
      const { at, clock } = clockOf(told, 30, waitMs)
      at.ms += after - 1
      at.up += (after - 1) / 1000
      expect(clock.isKnown).toBe(false)
      at.ms += 1
      expect(clock.isKnown).toBe(true)
    }
  })

  it('counts as known on a machine that has long been up, unless somebody there would say so', () => {
    expect(clockOf(undefined, 600).clock.isKnown).toBe(true)
    expect(clockOf(undefined, 599).clock.isKnown).toBe(false)
    expect(clockOf(false, 86_400).clock.isKnown).toBe(false)
  })
})

describe('a start before the system clock is synchronised', () => {
  it('marks its stamps, and says so, until it is', async () => {
    const machine = new Machine()
    let told = false
    await machine.start({ system: { told: () => told } })
    await machine.readings(2)
    expect(await machine.process.stamps.check.check()).toMatchObject({
      ok: true,
      detail: expect.stringContaining('not known to be synchronised') as string,
    })
    told = true
    await machine.readings(2)
    expect(machine.log.records.map(({ scheme }) => scheme)).toEqual([
      ...[UNSYNCHRONISED, UNSYNCHRONISED, STAMP_SCHEME, STAMP_SCHEME],
    ])
    expect(await machine.process.stamps.check.check()).toEqual({ ok: true })
  })

  it('acknowledges nothing where it was told to wait, which says why, and takes no era for the wrong time', async () => {
    const machine = new Machine()
    await machine.start()
    await machine.readings(1)
    machine.wall = 0
    let told = false
    await machine.start({ system: { told: () => told }, waitForClockMs: HOUR })
    const { stamps } = machine.process
    await expect(machine.readings(3)).rejects.toThrow('not taken')
    expect(() => stamps.clock.stampOf(1)).toThrow(expect.objectContaining({ code: 'clock_unsynchronised' }))
    expect(await stamps.check.check()).toEqual({ ok: false, detail: 'clock_unsynchronised' })
    machine.wall = NOON + HOUR
    told = true
    await vi.waitFor(() => expect(stamps.clock.stopped).toBeUndefined(), PATIENCE)
    expect(await machine.readings(2)).toEqual([0, 0])
    expect([machine.kept.era, machine.warnings]).toEqual([0, []])
  })

  it('waits no longer than it was told to', async () => {
    const machine = new Machine()
    await machine.start({ system: { told: () => false }, waitForClockMs: 2 * HOUR })
    const { stamps } = machine.process
    expect(stamps.clock.stopped).toBe('clock_unsynchronised')
    machine.pass(2 * HOUR)
    await vi.waitFor(() => expect(stamps.clock.stopped).toBeUndefined(), PATIENCE)
    expect(await machine.readings(1)).toEqual([0])
  })

  it('ends while it waits', async () => {
    const machine = new Machine()
    await machine.start({ system: { told: () => false }, waitForClockMs: HOUR })
    await machine.process.stamps.close()
    expect(machine.process.stamps.clock.stopped).toBe('closed')
  })

  it('says what became of it when there is an error behind the wait', async () => {
    const machine = new Machine()
    let told = false
    const offsets = async () => Promise.reject(new Error('broken'))
    const { log } = machine
    const broken = { append: log.append.bind(log), read: log.read.bind(log), offsets }
    await machine.start({ log: broken, system: { told: () => told }, waitForClockMs: HOUR })
    told = true
    const { stamps } = machine.process
    await vi.waitFor(() => expect(stamps.clock.stopped).toBe('internal'), PATIENCE)
    expect(await stamps.check.check()).toEqual({ ok: false, detail: 'internal' })
  })
})

describe('a start while the clock of another process was far ahead', () => {
  /** Records of slot 9, in years. */
  async function fill(machine: Machine, key: string, count: number, bytes: number): Promise<void> {
    const value = Buffer.alloc(bytes, ' ')
    const later = NOON + 10 * 365 * 24 * HOUR
    const records = Array.from({ length: count }, (_, i) => {
      const ms = later + i
      return { key, value, ms, ns: firstNs(9, ms), scheme: STAMP_SCHEME }
    })
    await machine.log.append(
      'telemetry.raw',
      records.map((record) => ({ ...record, headers: undefined })),
    )
  }

  it.each([
    ['records', 450_000, 2],
    ['bytes', 30_000, 30_000],
  ])(
    'reads a bounded number of %s, and takes another era that is not counted',
    async (_, count, bytes) => {
      const machine = new Machine()
      await machine.start()
      await machine.readings(3)
      await fill(machine, 'demo/bb', count, bytes)
      const { log } = machine
      let [read, readBytes] = [0, 0]
      const counting = {
        append: log.append.bind(log),
        offsets: log.offsets.bind(log),
        read: async function* (options: Parameters<typeof log.read>[0]) {
          for await (const batch of log.read({ ...options, maxRecords: Math.min(options.maxRecords, 1_000) })) {
            read += batch.records.length
            readBytes += batch.records.reduce((sum, { value }) => sum + value.length, 0)
            yield batch
          }
        },
      }
      for (const era of [1, 2, 3, 0, 1]) {
        ;[read, readBytes] = [0, 0]
        await machine.start({ log: counting })
        expect(await machine.readings(2)).toEqual([0, 0])
        expect(machine.kept).toMatchObject({ era, taken: [] })
        expect(read).toBeLessThan(430_000)
        expect(readBytes).toBeLessThan(300 * 1024 * 1024)
        await machine.process.stamps.close()
        machine.pass(60_000)
      }
      expect([
        machine.warnings,
        overlaps(machine.log.records.filter((record) => record.ms < NOON + 24 * HOUR)),
      ]).toEqual([[], 0])
    },
    60_000,
  )

  it('looks at the ends of the partitions first, and finds its own stamps there', async () => {
    const machine = new Machine()
    await machine.start()
    await fill(machine, 'demo/a', 450_000, 2)
    await machine.readings(20)
    machine.wall -= HOUR
    await machine.start()
    expect(machine.kept).toMatchObject({ era: 1, taken: [machine.wall] })
    expect(machine.warnings).toHaveLength(1)
  })
})
