import { describe, expect, it } from 'vitest'
import { Capacity } from '../../../../../services/broker/telemetry/backpressure.ts'

function setUp() {
  const load = { records: 0, bytes: 0 }
  const clock = { now: 0 }
  const capacity = new Capacity(load, { records: 10, bytes: 1000 }, () => clock.now)
  return { load, clock, capacity }
}

describe('Capacity', () => {
  it('is full at either cap, and sheds QoS 0 from half of them on', () => {
    const { load, capacity } = setUp()
    const seen = () => [capacity.isFull, capacity.shedsQos0]
    expect(seen()).toEqual([false, false])
    load.records = 5
    expect(seen()).toEqual([false, true])
    load.records = 10
    expect(seen()).toEqual([true, true])
    Object.assign(load, { records: 1, bytes: 500 })
    expect(seen()).toEqual([false, true])
    load.bytes = 1000
    expect(seen()).toEqual([true, true])
  })

  it('lets those go on that wait, in their order, as long as there is room', () => {
    const { load, capacity } = setUp()
    const order: number[] = []
    const waiting = [1, 2, 3].map((number) => ({
      progress: () => {
        order.push(number)
        load.records += 5
      },
    }))
    load.records = 10
    for (const connection of waiting) capacity.wait(connection)
    capacity.release()
    expect(order).toEqual([])
    load.records = 0
    capacity.release()
    expect(order).toEqual([1, 2])
    const [, , third] = waiting
    if (third !== undefined) capacity.forget(third)
    load.records = 0
    capacity.release()
    expect(order).toEqual([1, 2])
    expect(capacity.waiting).toBe(0)
  })

  it('tells a slow log, which frees room now and then, from one that stands still', () => {
    const { load, clock, capacity } = setUp()
    const connection = { progress: () => capacity.wait(connection) }
    load.records = 10
    capacity.wait(connection)
    for (let round = 0; round < 20; round += 1) {
      clock.now += 900
      expect(capacity.refusesNewcomers).toBe(false)
      load.records = 6
      capacity.release()
      load.records = 10
    }
    clock.now += 1_000
    expect([capacity.refusesNewcomers, capacity.shedsConnections]).toEqual([true, false])
    clock.now += 9_000
    expect([capacity.refusesNewcomers, capacity.shedsConnections]).toEqual([true, true])
    load.records = 0
    capacity.release()
    capacity.forget(connection)
    expect(capacity.isFull).toBe(false)
  })
})
