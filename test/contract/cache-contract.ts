import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Cache } from '../../shared/cache/port.ts'

export interface CacheHarness {
  readonly cache: Cache
  /** Lets time pass for the cache, in milliseconds. */
  pass(ms: number): Promise<void>
}

export type MakeCacheHarness = () => Promise<CacheHarness>

/** What every cache promises; which entries a full one drops is its own business. */
export function describeCache(name: string, make: MakeCacheHarness): void {
  const open = async (): Promise<CacheHarness> => {
    const harness = await make()
    onTestFinished(() => harness.cache.close())
    return harness
  }

  describe(`${name}: contract`, () => {
    it('gives back what was set last, in the order of the keys', async () => {
      const { cache } = await open()
      await cache.setMany(
        ['a', 'b', 'a'].map((key, index) => ({ key, value: `${key}${index}` })),
        60_000,
      )
      expect(await cache.getMany(['b', 'none', 'a', 'b'])).toEqual(['b1', undefined, 'a2', 'b1'])
      expect(await cache.get('a')).toBe('a2')
      expect(await cache.getMany([])).toEqual([])
    })

    it('takes keys for what they are', async () => {
      const { cache } = await open()
      const keys = ['k', 'K', 'k ', 'é', 'e\u0301', '', '__proto__', 'latest:a/b/c', 'x'.repeat(300)]
      await cache.setMany(
        keys.map((key, index) => ({ key, value: String(index) })),
        60_000,
      )
      expect(await cache.getMany(keys)).toEqual(keys.map((_, index) => String(index)))
    })

    it('keeps empty values and long ones', async () => {
      const { cache } = await open()
      const long = JSON.stringify({ text: 'é\u0000"'.repeat(10_000) })
      await cache.setMany(
        [
          { key: 'empty', value: '' },
          { key: 'long', value: long },
        ],
        60_000,
      )
      expect(await cache.getMany(['empty', 'long'])).toEqual(['', long])
    })

    it('forgets what was deleted', async () => {
      const { cache } = await open()
      await cache.setMany(
        ['a', 'b'].map((key) => ({ key, value: key })),
        60_000,
      )
      await cache.delete(['a', 'none'])
      expect(await cache.getMany(['a', 'b'])).toEqual([undefined, 'b'])
    })

    it('forgets what is older than its time to live; setting again renews it', async () => {
      const { cache, pass } = await open()
      // Time may pass on a real clock, late: the margins are near a second.
      await cache.setMany(
        ['short', 'renewed'].map((key) => ({ key, value: key })),
        4_000,
      )
      await cache.setMany([{ key: 'long', value: 'long' }], 60_000)
      await pass(1_000)
      await cache.setMany([{ key: 'renewed', value: 'again' }], 4_000)
      expect(await cache.get('short')).toBe('short')
      await pass(3_100)
      expect(await cache.getMany(['short', 'renewed', 'long'])).toEqual([undefined, 'again', 'long'])
    })
  })
}

/** A harness clock for caches in this process. */
export function fakeTime(): (ms: number) => Promise<void> {
  vi.useFakeTimers({ toFake: ['performance', 'Date'] })
  onTestFinished(() => void vi.useRealTimers())
  return async (ms) => void vi.advanceTimersByTime(ms)
}
