import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RetainedQuota } from '../../../../../services/broker/access/retained-quota.ts'
import { ELSEWHERE, placeOf } from '../../../../../shared/sessions/bounds.ts'

const BOUNDS = { topics: 6, bytes: 200, deviceTopics: 3, deviceBytes: 60 }

/** What is retained, counted anew each time. */
class Model {
  readonly sizes = new Map<string, number>()

  take(topic: string, size: number): boolean {
    const old = this.sizes.get(topic) ?? 0
    this.sizes.delete(topic)
    const own = [...this.sizes].filter(([other]) => placeOf(other) === placeOf(topic))
    const fits =
      this.sizes.size < BOUNDS.topics &&
      bytesOf([...this.sizes]) + size <= BOUNDS.bytes &&
      (placeOf(topic) === ELSEWHERE || (own.length < BOUNDS.deviceTopics && bytesOf(own) + size <= BOUNDS.deviceBytes))
    if (size > old && !fits) return false
    this.sizes.set(topic, size)
    return true
  }
}

function bytesOf(messages: readonly (readonly [string, number])[]): number {
  return messages.reduce((sum, [, size]) => sum + size, 0)
}

it('there is room for what the bounds allow, in all and of one device, whatever came and went before', () => {
  const topic = fc.constantFrom(
    ...['t/a/1/1', 't/a/1/2', 't/a/1/3', 't/a/1/4', 't/a/2/1', 't/a/2/2', 't/a/3/1', 't/b/1/1'],
    ...['x/1', 'x/2', 'x/3', 't/a'],
  )
  const step = fc.record({ topic, bytes: fc.option(fc.integer({ min: 0, max: 90 }), { freq: 4 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const room = new RetainedQuota(BOUNDS)
      const model = new Model()
      for (const { topic: at, bytes } of steps) {
        if (bytes === null) {
          room.leave(at)
          model.sizes.delete(at)
        } else {
          expect(room.take({ topic: at, payload: Buffer.alloc(bytes) })).toBe(model.take(at, at.length + bytes))
        }
        expect(new Set(room.topics())).toEqual(new Set(model.sizes.keys()))
      }
    }),
    { numRuns: 500 },
  )
})
