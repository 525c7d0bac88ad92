import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AckQueue } from '../../../../../services/broker/mqtt/ack-queue.ts'

const step = fc.oneof(
  fc.record({ does: fc.constant('add' as const), qos: fc.constantFrom(1, 2), ready: fc.boolean() }),
  fc.record({ does: fc.constant('durable' as const) }),
  fc.record({ does: fc.constant('release' as const) }),
)

describe('AckQueue', () => {
  it('acknowledges in the order of the messages, none before it is durable, and each once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 8 }), (steps, capacity) => {
        const queue = new AckQueue(capacity)
        const model: { id: number; header: number; settled: boolean }[] = []
        let id = 0
        for (const taken of steps) {
          if (taken.does === 'add' && !queue.isFull) {
            id += 1
            if (taken.ready) queue.addReady(id, taken.qos)
            else queue.add(id, taken.qos)
            model.push({ id, header: taken.qos === 1 ? 0x40 : 0x50, settled: taken.ready })
          } else if (taken.does === 'durable') {
            const oldest = model.find(({ settled }) => !settled)
            if (oldest === undefined) continue
            oldest.settled = true
            queue.durable()
          } else if (taken.does === 'release') {
            const expected: number[][] = []
            while (model[0]?.settled === true) {
              expected.push([model[0].header, model[0].id])
              model.shift()
            }
            const released: number[][] = []
            queue.release({
              acknowledge: (header, released_) => released.push([header, released_]),
              refuse: (header, released_) => released.push([header, released_]),
            })
            expect(released).toEqual(expected)
          }
          expect(queue.size).toBe(model.length)
          expect(queue.isFull).toBe(model.length >= capacity)
        }
      }),
    )
  })
})
