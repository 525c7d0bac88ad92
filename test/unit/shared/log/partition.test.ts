import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { murmur2, partitionOf } from '../../../../shared/log/partition.ts'

describe('partition of a key', () => {
  it.each([
    // org.apache.kafka.common.utils.UtilsTest.testMurmur2
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %s as Kafka does', (key, hash) => {
    expect(murmur2(key)).toBe(hash)
  })

  it('is the same whether the key is hashed by its characters or by its bytes', () => {
    // Any non-ASCII character switches to bytes; the rest of the key must not notice.
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 100 }), (key, partitions) => {
        const partition = partitionOf(key, partitions)
        expect(partition).toBe(partitionOf(Buffer.from(key).toString(), partitions))
        expect(partition).toBeGreaterThanOrEqual(0)
        expect(partition).toBeLessThan(partitions)
      }),
    )
  })

  it('hashes every length of tail alike', () => {
    const bytewise = (key: string): number => {
      // The published algorithm, byte by byte.
      const bytes = Buffer.from(key)
      const m = 0x5bd1e995
      let h = 0x9747b28c ^ bytes.length
      const whole = bytes.length & ~3
      for (let i = 0; i < whole; i += 4) {
        let k = Math.imul(bytes.readInt32LE(i), m)
        k ^= k >>> 24
        h = Math.imul(h, m) ^ Math.imul(k, m)
      }
      for (let i = bytes.length - 1; i >= whole; i--) h ^= (bytes[i] ?? 0) << (8 * (i - whole))
      if (bytes.length > whole) h = Math.imul(h, m)
      h = Math.imul(h ^ (h >>> 13), m)
      return (h ^ (h >>> 15)) | 0
    }
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'grapheme' })), (key) => {
        expect(murmur2(key)).toBe(bytewise(key))
      }),
    )
  })
})
