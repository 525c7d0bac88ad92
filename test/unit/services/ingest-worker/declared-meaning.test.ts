import { describe, expect, it } from 'vitest'
import { World } from './harness.ts'

const T = 1_769_860_800_000
const field = (name: string) => ({ tenant: 'demo', stream: 'telemetry', field: name })
const codes = (world: World) =>
  world.deadLetters().map(({ kind, code, faults }) => [kind ?? 'fault', code, faults?.first.map(({ path }) => path)])

describe('what was declared of a field', () => {
  it('refuses numbers outside of its range, or marks them, in messages received since then', async () => {
    const world = new World()
    const { declaredTypes } = world.registry
    declaredTypes.sinceMs = T + 2
    await declaredTypes.declare(field('t'), { min: -40, max: 60, outside: 'fault' }, 'ann')
    await declaredTypes.declare(field('m'), { type: 'integer', max: 10 }, 'ann')
    await world.publish([{ ts: T, t: 99, m: 99 }])
    await world.publish([{ ts: T + 1, t: 99, m: 99 }])
    // Received at T + 2 and later.
    await world.publish([{ ts: T + 2, t: 60, m: 10 }])
    await world.publish([{ ts: T + 3, t: 60.5, m: 11, other: 1 }])
    await world.publish([{ ts: T + 4, t: -40.5, m: 12 }])
    await world.publish([`{"ts":${T + 5},"t":"hot","m":90071992547409931}`])
    await world.work()
    await world.settled()
    const stored = [...world.points.visible].map(([id, value]) => `${id.split('@')[0]?.slice(21)} ${value}`)
    expect(stored.slice(4)).toEqual([
      't/float 60',
      'm/integer 10',
      'm/integer 11',
      'other/float 1',
      'm/integer 12',
      't/string hot',
      'm/integer 90071992547409931',
    ])
    // The mark of each field once a day, beside a fault of the same message; the faults each time.
    expect(codes(world)).toEqual([
      ['fault', 'value_outside_range', ['t', 'm']],
      ['fault', 'value_outside_range', ['t']],
    ])
    expect(world.deadLetters()[0]?.faults?.first.map(({ detail }) => detail)).toEqual([
      '60.5 is above the declared max 60',
      '11 is above the declared max 10',
    ])
  })

  it('that readings lack is noted once a day, and nothing of them is refused', async () => {
    const world = new World()
    const { declaredTypes } = world.registry
    await declaredTypes.declare(field('a'), { required: true }, 'ann')
    await declaredTypes.declare(field('b'), { required: true }, 'ann')
    await declaredTypes.declare(field('b'), { required: null }, 'ann')
    await world.publish([
      { ts: T, a: 1, b: 1 },
      [
        { ts: T + 1, a: 1 },
        { ts: T + 2, b: 2 },
      ],
      { ts: T + 3, a: null, b: 3 },
    ])
    await world.work()
    await world.settled()
    expect(world.points.visible.size).toBe(5)
    expect(world.deadLetters()).toMatchObject([{ kind: 'warning', code: 'field_missing', stage: 'store' }])
    expect(world.deadLetters()[0]?.faults?.first).toMatchObject([{ element: 1, path: 'a' }])
  })

  it('changes nothing of how plain fields are written: they are handed on as they were decoded', async () => {
    const world = new World()
    const { declaredTypes } = world.registry
    await declaredTypes.declare(field('a'), { unit: '°C', name: 'Air', interval: 60 }, 'ann')
    await world.publish([{ ts: T, a: 1e9 }])
    await world.work()
    await world.settled()
    expect([world.points.visible.size, world.deadLetters()]).toEqual([1, []])
  })
})
