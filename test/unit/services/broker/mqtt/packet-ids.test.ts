import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PacketIds } from '../../../../../services/broker/mqtt/packet-ids.ts'

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
