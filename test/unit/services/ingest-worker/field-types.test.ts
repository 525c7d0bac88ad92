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
})
