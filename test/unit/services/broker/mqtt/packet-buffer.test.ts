import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PacketBuffer, type BufferOwner } from '../../../../../services/broker/mqtt/packet-buffer.ts'

interface Owner extends BufferOwner {
  losses: number
}

function setUp() {
  const seen = { mixUps: 0 }
  const buffer = new PacketBuffer(() => (seen.mixUps += 1))
  const owner = (): Owner => ({
    losses: 0,
    packetsLost() {
      this.losses += 1
    },
  })
  return { buffer, seen, one: owner(), other: owner() }
}

describe('PacketBuffer', () => {
  it('gives all that was put in, once, however much it is', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 3_000 }), (ids) => {
        const { buffer, seen, one, other } = setUp()
        for (const owner of [one, other, one]) {
          buffer.claim(owner)
          for (const id of ids) buffer.acknowledge(0x40, id)
          buffer.empty(0xd0)
          expect(buffer.isEmpty).toBe(false)
          const expected = ids.flatMap((id) => [0x40, 2, id >> 8, id & 0xff])
          expect([...(buffer.take(owner) ?? [])]).toEqual([...expected, 0xd0, 0])
          expect(buffer.isEmpty).toBe(true)
          expect(buffer.take(owner)?.length).toBe(0)
        }
        expect([seen.mixUps, one.losses, other.losses]).toEqual([0, 0, 0])
      }),
      { numRuns: 30 },
    )
  })

  it('gives packets that were left in it to nobody when another owner comes', () => {
    const { buffer, seen, one, other } = setUp()
    buffer.claim(one)
    for (let id = 1; id < 2_000; id += 1) buffer.acknowledge(0x40, id)
    buffer.claim(other)
    buffer.empty(0xd0)
    expect(buffer.take(other)).toEqual(Buffer.from([0xd0, 0]))
    expect([seen.mixUps, one.losses, other.losses]).toEqual([1, 1, 1])
    expect(buffer.isEmpty).toBe(true)
  })

  it('gives the packets of one owner to no other that takes', () => {
    const { buffer, seen, one, other } = setUp()
    buffer.claim(one)
    buffer.acknowledge(0x40, 1)
    expect(buffer.take(other)).toBeUndefined()
    expect(buffer.isEmpty).toBe(true)
    expect([seen.mixUps, one.losses, other.losses]).toEqual([1, 1, 1])
  })
})
