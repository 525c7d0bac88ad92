import { describe, expect, it } from 'vitest'
import { faultsOf, isReplayable, kindOf } from '../../../../shared/dead-letter.ts'
import { counter, World } from './harness.ts'

const summary = (world: World) =>
  world.deadLetters().map((letter) => ({
    kind: kindOf(letter),
    offset: letter.source?.offset,
    faults: faultsOf(letter).first.map(({ path, code }) => `${path}: ${code}`),
  }))

describe('what comes with every message', () => {
  it('is told once per device, stream, field and day; every fault is counted', async () => {
    const world = new World()
    await world.publish([{ a: 1, list: [{}] }, { a: 2, list: [{}] }, { a: 3, list: [{}], other: [[]] }, '{"a":1'])
    await world.publish([{ a: 4, list: [{}] }], 'demo/second')
    await world.publish([{ a: 5, list: [{}] }], 'demo/first', 't/demo/first/telemetry/power')
    const { options } = await world.work()
    await world.settled()
    expect(summary(world)).toEqual([
      { kind: 'fault', offset: 0, faults: ['list: list_left_out'] },
      { kind: 'fault', offset: 2, faults: ['list: list_left_out', 'other: list_left_out'] },
      { kind: 'fault', offset: 3, faults: ['null: payload_not_json'] },
      { kind: 'fault', offset: 4, faults: ['list: list_left_out'] },
      { kind: 'fault', offset: 5, faults: ['list: list_left_out'] },
    ])
    expect(world.deadLetters().every(isReplayable)).toBe(true)
    expect(await counter(options, 'faults_total')).toBe(7)
    expect(await counter(options, 'dead_letters_total')).toBe(5)
    // Of the others every field is stored.
    expect(world.points.visible.size).toBe(5)
  })

  it('is told with the other faults of a record, told or not', async () => {
    const world = new World()
    await world.publish(
      [{ list: [{}] }, { list: [{}], big: 'BIG' }].map((one) => JSON.stringify(one).replace('"BIG"', '1e999')),
    )
    await world.work()
    await world.settled()
    expect(summary(world).at(-1)?.faults).toEqual(['list: list_left_out', 'big: value_out_of_range'])
  })

  it('is told again on the next day', async () => {
    const world = new World()
    const day = (ms: number) => ({ key: 'demo/first', value: Buffer.from('{"l":[{}]}'), ms, ns: 0, headers: undefined })
    const noon = Date.UTC(2026, 0, 31, 12)
    await world.log.append(
      'telemetry.raw',
      [0, 1, 13, 14].map((hours) => day(noon + hours * 3_600_000)),
    )
    await world.work()
    await world.settled()
    expect(summary(world).map(({ offset }) => offset)).toEqual([0, 2])
  })

  it('of a time that is none is a warning, which names the first of its kind', async () => {
    const world = new World()
    await world.publish([
      { time: '2026-01-31 11:00:00', a: 1 },
      { time: '2026-01-31 11:01:00', a: 2 },
      { ts: 12, a: 3 },
      '{"ts":13,"a":4,"b":1e999}',
      { ts: 14, a: 5 },
    ])
    await world.work()
    await world.settled()
    expect(summary(world)).toEqual([
      { kind: 'warning', offset: 0, faults: ['null: time_without_zone'] },
      { kind: 'warning', offset: 2, faults: ['null: clock_not_set'] },
      { kind: 'fault', offset: 3, faults: ['b: value_out_of_range'] },
    ])
    expect(world.points.visible.size).toBe(7)
  })

  it('is told after the log could not take it', async () => {
    const world = new World()
    await world.publish([
      { a: 1, list: [{}] },
      { ts: 12, a: 1 },
    ])
    const append: typeof world.log.append = world.log.append.bind(world.log)
    let isDown = true
    world.log.append = async (...args) => {
      if (isDown) {
        isDown = false
        throw new Error('once')
      }
      return append(...args)
    }
    await world.work()
    await world.settled()
    expect(summary(world).map(({ offset }) => offset)).toEqual([0, 1])
  })
})
