import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../../../../shared/errors.ts'
import { Backpressure } from '../../../../../services/broker/telemetry/backpressure.ts'

interface Load {
  records: number
  bytes: number
  failingWith: ErrorCode | undefined
}

function setUp() {
  const load: Load = { records: 0, bytes: 0, failingWith: undefined }
  const clock: { now: number; stopped: ErrorCode | undefined } = { now: 0, stopped: undefined }
  const backpressure = new Backpressure(load, { records: 10, bytes: 1000 }, clock, () => clock.now)
  return { load, clock, backpressure }
}

describe('Capacity', () => {
  it('is full at either cap, and sheds QoS 0 from half of them on', () => {
    const { load, backpressure } = setUp()
    const seen = () => [backpressure.isFull, backpressure.shedsQos0]
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

  it('sheds QoS 0 at once while the disk is full, and no connection however long that lasts', () => {
    const { load, clock, backpressure } = setUp()
    load.failingWith = 'disk_full'
    expect([backpressure.isFull, backpressure.shedsQos0]).toEqual([false, true])
    load.records = 10
    backpressure.wait({ progress: () => undefined })
    clock.now += 3_600_000
    expect([backpressure.refusesNewcomers, backpressure.shedsConnections]).toEqual([true, false])
    load.failingWith = 'log_unavailable'
    expect(backpressure.shedsConnections).toBe(true)
  })

  it('lets those go on that wait, in their order, as long as there is room', () => {
    const { load, backpressure } = setUp()
    const order: number[] = []
    const waiting = [1, 2, 3].map((number) => ({
      progress: () => {
        order.push(number)
        load.records += 5
      },
    }))
    load.records = 10
    for (const connection of waiting) backpressure.wait(connection)
    backpressure.release()
    expect(order).toEqual([])
    load.records = 0
    backpressure.release()
    expect(order).toEqual([1, 2])
    const [, , third] = waiting
    if (third !== undefined) backpressure.forget(third)
    load.records = 0
    backpressure.release()
    expect(order).toEqual([1, 2])
    expect(backpressure.waiting).toBe(0)
  })

  it('is full while nothing can be stamped, and looks by itself whether that is over', async () => {
    const { clock, backpressure } = setUp()
    const { promise, resolve } = Promise.withResolvers<void>()
    clock.stopped = 'clock_unusable'
    expect(backpressure.isFull).toBe(true)
    let progressed = 0
    backpressure.wait({ progress: () => ((progressed += 1), resolve()) })
    await new Promise((passed) => setTimeout(passed, 30))
    expect(progressed).toBe(0)
    clock.stopped = undefined
    await promise
    expect([progressed, backpressure.waiting]).toEqual([1, 0])
  })

  it('tells a slow log, which frees room now and then, from one that stands still', () => {
    const { load, clock, backpressure } = setUp()
    const connection = { progress: () => backpressure.wait(connection) }
    load.records = 10
    backpressure.wait(connection)
    for (let round = 0; round < 20; round += 1) {
      clock.now += 900
      expect(backpressure.refusesNewcomers).toBe(false)
      load.records = 6
      backpressure.release()
      load.records = 10
    }
    clock.now += 1_000
    expect([backpressure.refusesNewcomers, backpressure.shedsConnections]).toEqual([true, false])
    clock.now += 9_000
    expect([backpressure.refusesNewcomers, backpressure.shedsConnections]).toEqual([true, true])
    load.records = 0
    backpressure.release()
    backpressure.forget(connection)
    expect(backpressure.isFull).toBe(false)
  })
})
