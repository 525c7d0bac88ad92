import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RouteCache } from '../../../../../services/broker/telemetry/route-cache.ts'
import type { Route } from '../../../../../shared/topic-routes.ts'

describe('RouteCache', () => {
  it('finds a route by the bytes of its topic, of this epoch only', () => {
    const topic = fc.constantFrom(...Array.from({ length: 12 }, (_, index) => `t/a/${index}/telemetry`), 't/a/1', '')
    fc.assert(
      fc.property(fc.array(fc.tuple(topic, fc.nat({ max: 40 })), { maxLength: 60 }), (uses) => {
        const cache = new RouteCache()
        for (const [name, time] of uses) {
          const epoch = Math.floor(time / 20)
          const buffer = Buffer.from(`..${name}...`)
          const end = 2 + Buffer.byteLength(name)
          const found = cache.find(buffer, 2, end, epoch)
          if (found !== undefined) {
            expect(found).toEqual({ lane: 'aedes', topic: `${name}@${epoch}` })
            continue
          }
          const route: Route = { lane: 'aedes', topic: `${name}@${epoch}` }
          cache.add(Uint8Array.from(buffer.subarray(2, end)), route)
          expect(cache.find(buffer, 2, end, epoch)).toBe(route)
        }
      }),
    )
  })
})
