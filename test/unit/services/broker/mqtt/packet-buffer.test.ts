import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PacketBuffer } from '../../../../../services/broker/mqtt/packet-buffer.ts'

describe('PacketBuffer', () => {
  it('gives all that was put in, once, however much it is', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 3_000 }), (ids) => {
        const packets = new PacketBuffer()
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
