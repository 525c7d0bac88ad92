import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LruMap } from '../../../shared/lru.ts'

describe('LruMap', () => {
  it('keeps the entries that were used last, as many as it may', () => {
    const step = fc.tuple(fc.constantFrom('get', 'set', 'peek', 'delete'), fc.nat(6))
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (capacity, steps) => {
        const map = new LruMap<number, string>(capacity)
        let model: [number, string][] = []
        for (const [index, [action, key]] of steps.entries()) {
          const known = model.find(([one]) => one === key)
          const others = model.filter(([one]) => one !== key)
          if (action === 'peek') expect(map.peek(key)).toBe(known?.[1])
          if (action === 'delete') {
            expect(map.delete(key)).toBe(known !== undefined)
            model = others
          }
          if (action === 'get') {
            expect(map.get(key)).toBe(known?.[1])
            if (known !== undefined) model = [...others, known]
          }
          if (action === 'set') {
            model = [...others, [key, String(index)]]
            const dropped = model.length > capacity ? model.shift() : undefined
            expect(map.set(key, String(index))).toBe(dropped?.[1])
          }
          expect(map.size).toBe(model.length)
        }
        for (const [, value] of model) expect(map.dropOldest()).toBe(value)
        expect(map.dropOldest()).toBeUndefined()
      }),
      { numRuns: 500 },
    )
  })
})
