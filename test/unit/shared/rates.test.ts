import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Rates, type RateSettings } from '../../../shared/rates.ts'
import type { Principal } from '../../../shared/registry/port.ts'

const NONE: RateSettings = {
  DEVICE_MESSAGES_PER_SECOND: 0,
  DEVICE_BYTES_PER_SECOND: 0,
  TENANT_MESSAGES_PER_SECOND: 0,
  TENANT_BYTES_PER_SECOND: 0,
  RATE_BURST_SECONDS: 1,
}

function device(tenant: string, name: string): Principal {
  return { kind: 'device', name: `${tenant}/${name}`, tenant, device: name, uid: name }
}

/** Rates whose clock is set by the test, in ms. */
function rates(settings: Partial<RateSettings>) {
  const clock = { ms: 0 }
  const made = new Rates({ ...NONE, ...settings }, undefined, () => clock.ms)
  const enter = (principal: Principal) => {
    const entered = made.enter(principal)
    if (entered === undefined) throw new Error('nothing is limited')
    const { allowance, leave } = entered
    /** Takes a message when there is room; the rate that it lacks otherwise. */
    const take = (bytes: number) => {
      const lacking = allowance.lacks()
      if (lacking === undefined) allowance.take(bytes)
      return lacking?.name
    }
    return { allowance: { take }, leave }
  }
  return { rates: made, clock, enter }
}

it('without a limit there is nothing to ask', () => {
  expect(rates({}).rates.enter(device('a', '1'))).toBeUndefined()
})

it('any run of messages passes at the rate, and one burst beyond it', () => {
  const steps = fc.array(
    fc.record({ afterMs: fc.integer({ min: 0, max: 400 }), bytes: fc.integer({ min: 1, max: 900 }) }),
  )
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 100, max: 5_000 }),
      (run, messages, bytes) => {
        const settings = { DEVICE_MESSAGES_PER_SECOND: messages, DEVICE_BYTES_PER_SECOND: bytes, RATE_BURST_SECONDS: 2 }
        const { clock, enter } = rates(settings)
        const { allowance } = enter(device('a', '1'))
        let passed = 0
        let passedBytes = 0
        for (const step of run) {
          clock.ms += step.afterMs
          if (allowance.take(step.bytes) !== undefined) continue
          passed += 1
          passedBytes += step.bytes
        }
        const seconds = clock.ms / 1000
        // The last message may overdraw its bucket.
        expect(passed).toBeLessThanOrEqual(Math.max(messages * 2, 1) + messages * seconds + 1)
        expect(passedBytes).toBeLessThanOrEqual(bytes * 2 + bytes * seconds + 900)
      },
    ),
  )
})

it('who keeps to the rate never waits, and a message longer than the bucket passes', () => {
  const { clock, enter } = rates({ DEVICE_MESSAGES_PER_SECOND: 10, DEVICE_BYTES_PER_SECOND: 100 })
  const { allowance } = enter(device('a', '1'))
  for (let message = 0; message < 100; message += 1, clock.ms += 100) expect(allowance.take(10)).toBeUndefined()
  expect(allowance.take(1_000)).toBeUndefined()
  expect(allowance.take(1)).toBe('byte_rate')
  clock.ms += 10_000
  expect(allowance.take(1)).toBeUndefined()
})

describe('who shares what', () => {
  it('connections of one login, and devices of one tenant', () => {
    const { enter } = rates({ DEVICE_MESSAGES_PER_SECOND: 2, TENANT_MESSAGES_PER_SECOND: 3 })
    const first = enter(device('a', '1')).allowance
    const second = enter(device('a', '1')).allowance
    const sibling = enter(device('a', '2')).allowance
    const stranger = enter(device('b', '1')).allowance
    expect([first.take(1), second.take(1), first.take(1)]).toEqual([undefined, undefined, 'message_rate'])
    expect([sibling.take(1), sibling.take(1)]).toEqual([undefined, 'tenant_message_rate'])
    expect(stranger.take(1)).toBeUndefined()
  })

  it('of those who have left a bounded number is remembered', () => {
    const { enter, rates: made } = rates({ DEVICE_MESSAGES_PER_SECOND: 1 })
    for (let n = 0; n < 100_100; n += 1) {
      const { allowance, leave } = enter(device('a', String(n)))
      allowance.take(1)
      leave()
    }
    expect(made.size).toBeLessThanOrEqual(100_002)
  })

  it('an application has its own rate and no tenant', () => {
    const app: Principal = { kind: 'application', name: 'a', rules: [] }
    const { enter, rates: made } = rates({ DEVICE_MESSAGES_PER_SECOND: 1, TENANT_MESSAGES_PER_SECOND: 1 })
    enter(device('a', '1')).allowance.take(1)
    const { allowance } = enter(app)
    expect([allowance.take(1), allowance.take(1)]).toEqual([undefined, 'message_rate'])
    expect(new Rates({ ...NONE, TENANT_MESSAGES_PER_SECOND: 1 }).enter(app)).toBeUndefined()
    made.close()
  })

  it('who leaves and comes again gets no second burst, and is forgotten once there is nothing to remember', () => {
    const { clock, enter, rates: made } = rates({ DEVICE_MESSAGES_PER_SECOND: 1 })
    const one = enter(device('a', '1'))
    const two = enter(device('a', '1'))
    one.allowance.take(1)
    one.leave()
    expect(two.allowance.take(1)).toBe('message_rate')
    two.leave()
    const again = enter(device('a', '1'))
    expect(again.allowance.take(1)).toBe('message_rate')
    again.leave()
    clock.ms += 1_000
    enter(device('a', '2')).leave()
    expect(made.size).toBe(1)
    expect(enter(device('a', '1')).allowance.take(1)).toBeUndefined()
  })
})

it('those that wait are called until none waits, and never after the close', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const made = new Rates(NONE)
  let calls = 0
  const connection = {
    progress: () => {
      calls += 1
      if (calls < 3) made.wait(connection)
    },
  }
  made.wait(connection)
  vi.advanceTimersByTime(1_000)
  expect({ calls, waiting: made.waiting, timers: vi.getTimerCount() }).toEqual({ calls: 3, waiting: 0, timers: 0 })
  made.wait(connection)
  made.close()
  expect({ waiting: made.waiting, timers: vi.getTimerCount() }).toEqual({ waiting: 0, timers: 0 })
})
