import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32OfShort } from '../../../../../services/broker/telemetry/short-crc.ts'

describe('the checksum of a short payload', () => {
  it('is that of zlib, whatever it continues', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (bytes, before) => {
        expect(crc32OfShort(bytes, before)).toBe(crc32(bytes, before))
      }),
      { numRuns: 2_000 },
    )
  })
})
