import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AckQueue, PacketIds, SmallPackets } from '../../../../../services/broker/mqtt/acks.ts'

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

describe('SmallPackets', () => {
  it('gives all that was put in, once, however much it is', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 3_000 }), (ids) => {
        const packets = new SmallPackets()
        for (const id of ids) packets.acknowledge(0x40, id)
        packets.empty(0xd0)
        expect(packets.isEmpty).toBe(false)
        const expected = ids.flatMap((id) => [0x40, 2, id >> 8, id & 0xff])
        expect([...packets.take()]).toEqual([...expected, 0xd0, 0])
        expect(packets.isEmpty).toBe(true)
        expect(packets.take().length).toBe(0)
      }),
      { numRuns: 30 },
    )
  })
})

describe('PacketIds', () => {
  it('is a set', () => {
    const change = fc.tuple(
      fc.boolean(),
      fc.oneof(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 65_535 })),
    )
    fc.assert(
      fc.property(fc.array(change, { maxLength: 400 }), (changes) => {
        const ids = new PacketIds()
        const model = new Set<number>()
        for (const [isAdd, id] of changes) {
          expect(ids.has(id)).toBe(model.has(id))
          if (isAdd) {
            ids.add(id)
            model.add(id)
          } else {
            expect(ids.delete(id)).toBe(model.delete(id))
          }
        }
      }),
    )
  })
})
