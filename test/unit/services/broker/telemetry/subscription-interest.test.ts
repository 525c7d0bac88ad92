import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  canMatchTelemetry,
  SubscriptionInterest,
  isTelemetryOnly,
} from '../../../../../services/broker/telemetry/subscription-interest.ts'
import { matches } from '../../../../../shared/topic-filter.ts'

describe('which filters concern telemetry', () => {
  it.each([
    ['t/a/1/telemetry', true, true],
    ['t/+/+/telemetry/+', true, true],
    ['t/a/1/telemetry/#', true, true],
    ['t/a/1/#', false, true],
    ['t/+/+/+', false, true],
    ['#', false, true],
    ['+/+/+/+/x', false, true],
    ['t/a/1/status', false, false],
    ['t/a/+/cmd/#', false, false],
    ['house/#', false, false],
  ])('%s: only %s, some %s', (filter, only, some) => {
    expect([isTelemetryOnly(filter), canMatchTelemetry(filter)]).toEqual([only, some])
  })
})

describe('Interest', () => {
  it('knows whether a subscription matches, as they come and go', () => {
    const filters = ['#', 't/a/+/telemetry', 't/+/1/telemetry/#', 't/b/1/telemetry/wind']
    const topics = ['t/a/1/telemetry', 't/b/1/telemetry/wind', 't/c/2/telemetry']
    const change = fc.tuple(fc.constantFrom(...filters), fc.boolean())
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const interest = new SubscriptionInterest()
        const model: string[] = []
        for (const [filter, isAdded] of changes) {
          if (isAdded) {
            interest.add(filter)
            model.push(filter)
          } else if (model.includes(filter)) {
            interest.remove(filter)
            model.splice(model.indexOf(filter), 1)
          }
          expect(interest.isNone).toBe(model.length === 0)
          for (const topic of topics) {
            expect(interest.matches(topic)).toBe(model.some((candidate) => matches(candidate, topic)))
          }
        }
      }),
    )
  })
})
