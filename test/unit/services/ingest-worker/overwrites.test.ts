import { describe, expect, it } from 'vitest'
import { faultsOf, isReplayable, kindOf } from '../../../../shared/dead-letter.ts'
import { counter, World } from './harness.ts'

const T = 1_769_860_800_000
const HOUR_MS = 3_600_000

const told = (world: World) =>
  world.deadLetters().map((letter) => ({
    kind: kindOf(letter),
    stage: letter.stage,
    offset: letter.source?.offset,
    faults: faultsOf(letter).first.map(({ element, path, code }) => `${element} ${path}: ${code}`),
  }))

describe('a value that takes the place of another', () => {
  it('is stored, counted, and told once per device and hour as a warning', async () => {
    const world = new World()
    await world.publish([
      { ts: T, a: 1, b: 1 },
      { ts: T, a: 2, b: 2 },
      { ts: T, a: 3 },
    ])
    await world.publish(
      [
        { ts: T, a: 1 },
        [
          { ts: T + 1, a: 1 },
          { ts: T, a: 2 },
        ],
      ],
      'demo/other',
    )
    const { options } = await world.work()
    await world.settled()
    expect(told(world)).toEqual([
      { kind: 'warning', stage: 'store', offset: 1, faults: ['0 a: overwritten'] },
      { kind: 'warning', stage: 'store', offset: 4, faults: ['1 a: overwritten'] },
    ])
    expect(world.deadLetters()[0]?.detail).toBe('"a" was 1 at 2026-01-31T12:00:00Z, and is 2 now')
    expect(world.deadLetters().some(isReplayable)).toBe(false)
    expect(await counter(options, 'overwritten_total')).toBe(4)
    expect(await counter(options, 'faults_total')).toBe(0)
    expect(world.points.visible.get(`demo/first/telemetry/a/float@${T}.0`)).toBe(3)
  })

  it('is told again in the next hour of receipt', async () => {
    const world = new World()
    const received = [0, 1, HOUR_MS, HOUR_MS + 1].map((later, n) => ({
      ...{ key: 'demo/first', value: Buffer.from(`{"ts":${T},"a":${n}}`) },
      ...{ ms: T + later, ns: 0, headers: undefined },
    }))
    await world.log.append('telemetry.raw', received)
    await world.work()
    await world.settled()
    expect(told(world).map(({ offset }) => offset)).toEqual([1, 2])
  })

  it('joins the faults of its message', async () => {
    const world = new World()
    await world.publish([{ ts: T, a: 1 }, `{"ts":${T},"a":2,"b":1e999}`])
    await world.work()
    await world.settled()
    expect(told(world)).toEqual([
      { kind: 'fault', stage: 'decode', offset: 1, faults: ['0 b: value_out_of_range', '0 a: overwritten'] },
    ])
  })

  it('is none when the value is the same, of another kind, of one message, or refused', async () => {
    const world = new World()
    await world.publish([
      { ts: T, a: 1 },
      { ts: T, a: 1 },
      { ts: T, a: 'x' },
      { ts: T, a: true },
    ])
    await world.publish([
      [
        { ts: T, b: 1 },
        { ts: T, b: 2 },
      ],
    ])
    await world.publish([{ a: 1 }, { a: 2 }])
    const { options } = await world.work()
    await world.settled()
    expect(told(world)).toEqual([])
    expect(await counter(options, 'overwritten_total')).toBe(0)
  })

  it('is counted once and told when the log could not take its letter at first', async () => {
    const world = new World()
    await world.publish([
      { ts: T, a: 1 },
      { ts: T, a: 2 },
    ])
    const append: typeof world.log.append = world.log.append.bind(world.log)
    let isDown = true
    world.log.append = async (...args) => {
      if (isDown) {
        isDown = false
        throw new TypeError('a defect')
      }
      return append(...args)
    }
    const { options } = await world.work()
    await world.settled()
    expect(told(world).map(({ offset }) => offset)).toEqual([1])
    expect(await counter(options, 'overwritten_total')).toBe(1)
  })
})
