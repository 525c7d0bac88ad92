import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TailCache } from '../../../../../shared/log/sqlite/tail-cache.ts'

describe('tail cache', () => {
  it('finds the row of any offset among the newest rows that fit, and no other', () => {
    const row = fc.record({ records: fc.integer({ min: 1, max: 5 }), bytes: fc.integer({ min: 1, max: 300 }) })
    fc.assert(
      fc.property(fc.array(row, { maxLength: 900 }), fc.integer({ min: 0, max: 20_000 }), (rows, limit) => {
        const cache = new TailCache(limit)
        let end = 0
        const added = rows.map(({ records, bytes }) => {
          const one = { firstOffset: end, records, packed: new Uint8Array(bytes) }
          cache.add(one)
          end += records
          return one
        })
        let room = limit
        let isKept = true
        for (const one of added.reverse()) {
          room -= one.packed.byteLength
          isKept &&= room >= 0
          for (const offset of [one.firstOffset, one.firstOffset + one.records - 1]) {
            expect(cache.find(offset)).toBe(isKept ? one : undefined)
          }
        }
        expect(cache.find(end)).toBeUndefined()
      }),
      { numRuns: 30 },
    )
  })

  it('keeps small rows without the large buffers that they came in', () => {
    const cache = new TailCache(100 * 200)
    const small = () => new Uint8Array(new ArrayBuffer(4096), 0, 100).fill(7)
    for (let offset = 0; offset < 200; offset += 1) cache.add({ firstOffset: offset, records: 1, packed: small() })
    const [oldest, newest] = [cache.find(0), cache.find(199)]
    expect([oldest, newest].map((row) => row?.packed.buffer.byteLength)).toEqual([100, 100])
    expect(oldest?.packed).toEqual(small())
  })
})
