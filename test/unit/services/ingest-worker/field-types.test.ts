import { describe, expect, it } from 'vitest'
import { World } from './harness.ts'

const T = 1_769_860_800_000

describe('the types of values', () => {
  it('of one field may differ: numbers, booleans and texts lie side by side', async () => {
    const world = new World()
    await world.publish([{ ts: T, a: 1 }, `[{"ts":${T + 1},"a":true,"b":1},{"ts":${T + 2},"a":2}]`])
    await world.work()
    await world.settled()
    expect([...world.points.visible]).toEqual([
      [`demo/first/telemetry/a/float@${T}.0`, 1],
      [`demo/first/telemetry/a/boolean@${T + 1}.0`, true],
      [`demo/first/telemetry/b/float@${T + 1}.0`, 1],
      [`demo/first/telemetry/a/float@${T + 2}.0`, 2],
    ])
    expect(world.deadLetters()).toEqual([])
  })

  it('a word that comes first decides nothing about the numbers behind it', async () => {
    const world = new World()
    // As a registry has it in which the first value decided.
    world.registry.types.set('demo/telemetry/old', 'string')
    await world.publish([{ ts: T, old: 'unavailable', new: 'unavailable' }])
    await world.publish([{ ts: T + 1, old: 21.5, new: 21.5 }], 'demo/second')
    await world.work()
    await world.settled()
    expect([...world.points.visible.values()]).toEqual(['unavailable', 'unavailable', 21.5, 21.5])
    expect(world.deadLetters()).toEqual([])
    expect(world.registry.types.get('demo/telemetry/new')).toBe('float')
  })

  it('of a declared integer are exact from then on, and what is read again is stored as it was', async () => {
    const world = new World()
    const big = (n: number) => `{"ts":${T + n},"n":90071992547409${93 + n},"f":0.5}`
    await world.publish([{ ts: T - 1, n: 1 }, big(0)])
    // Received at T and T + 1: the declaration holds for what comes behind, until it is taken back.
    const field = { tenant: 'demo', stream: 'telemetry', field: 'n' }
    const [worker] = [await world.work()]
    await world.settled()
    world.registry.declaredTypes.sinceMs = T + 2
    await world.registry.declaredTypes.declare(field, { type: 'integer' }, 'ann')
    await world.publish([big(2), `{"ts":${T + 3},"n":2.5}`, `{"ts":${T + 4},"n":"word"}`, `{"ts":${T + 5},"n":1e30}`])
    await world.settled()
    world.registry.declaredTypes.sinceMs = T + 6
    await world.registry.declaredTypes.declare(field, { type: 'float' }, 'ann')
    await world.publish([big(6)])
    await world.settled()
    await worker.close()
    const stored = new Map(world.points.visible)
    expect([...stored].filter(([id]) => id.includes('/n/'))).toEqual([
      [`demo/first/telemetry/n/float@${T - 1}.0`, 1],
      [`demo/first/telemetry/n/float@${T}.0`, 9_007_199_254_740_992],
      [`demo/first/telemetry/n/string@${T}.0`, '9007199254740993'],
      [`demo/first/telemetry/n/integer@${T + 2}.0`, 9_007_199_254_740_995n],
      [`demo/first/telemetry/n/float@${T + 3}.0`, 2.5],
      [`demo/first/telemetry/n/string@${T + 4}.0`, 'word'],
      [`demo/first/telemetry/n/float@${T + 5}.0`, 1e30],
      [`demo/first/telemetry/n/float@${T + 6}.0`, 9_007_199_254_741_000],
      [`demo/first/telemetry/n/string@${T + 6}.0`, '9007199254740999'],
    ])
    expect(world.deadLetters()).toEqual([])
    world.log.committed[0] = 0
    await world.work()
    await world.settled()
    expect(new Map(world.points.visible)).toEqual(stored)
  })
})
